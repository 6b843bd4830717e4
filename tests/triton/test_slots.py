"""Slots are given in turn, and none is lost, whatever happens to who waits."""

import gevent
import pytest
from trihook.triton.slots import Slots


def _hold(slots, name, order, turns=1):
    for _ in range(turns):
        with slots:
            order.append(name)
            gevent.sleep(0)


def test_whoever_asks_again_and_again_lets_the_others_go_between():
    slots, order = Slots(1), []
    greedy = gevent.spawn(_hold, slots, "greedy", order, turns=5)
    gevent.sleep(0)
    others = [gevent.spawn(_hold, slots, name, order) for name in "ab"]
    gevent.joinall([greedy, *others], raise_error=True)
    assert order == ["greedy", "greedy", "a", "b", "greedy", "greedy", "greedy"]


def test_no_more_hold_one_than_there_are():
    slots, held, most = Slots(3), set(), []

    def hold(name):
        for _ in range(4):
            with slots:
                held.add(name)
                most.append(len(held))
                gevent.sleep(0)
                held.discard(name)

    gevent.joinall([gevent.spawn(hold, name) for name in range(8)], raise_error=True)
    assert max(most) == 3


@pytest.mark.parametrize("is_given", [False, True], ids=["waits", "was just given one"])
def test_one_who_is_killed_leaves_its_slot_to_the_next(is_given):
    slots, order = Slots(1), []
    slots.__enter__()
    doomed = gevent.spawn(_hold, slots, "doomed", order)
    other = gevent.spawn(_hold, slots, "other", order)
    gevent.sleep(0)
    if is_given:
        doomed.kill(block=False)  # at the hub's next turn, as the slot
        slots.__exit__()
    else:
        doomed.kill()
        slots.__exit__()
    other.get(timeout=5)
    assert order == ["other"]
    with slots:
        pass
