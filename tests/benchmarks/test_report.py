"""What the benchmarks make of their measurements: ratios by round, no verdict on wrong answers."""

import socketserver
import threading
import time
from dataclasses import asdict, replace

import pytest
from trihook_bench import compared, liveness
from trihook_bench.load import Load
from trihook_bench.results import FASTEST, SERIAL, Cell, Spread, read_cells
from trihook_bench.sections import SECTIONS
from trihook_bench.targets import GOALS, Goal, judge

GOOD = Load(100, 1.0, 100.0, 1.0, 2.0, 3.0, 4.0)
WRONG = replace(GOOD, wrong=1)
NONE = Load(0, 1.0, 0, 0, 0, 0, 0)
ROLES = {
    "trihook": "ours", "flask": "ceiling", "triton": "ceiling", "a": "peer", "b": "peer",
}  # fmt: skip


def _loads(*rates, **changes):
    return tuple(replace(GOOD, rate=rate, p50_ms=1000 / rate, **changes) for rate in rates)


def _cell(**systems):
    return Cell("vector", 8, systems, ROLES)


@pytest.mark.parametrize("load", [WRONG, NONE, replace(GOOD, refused=1)])
def test_wrong_answers_and_none_are_not_valid(load):
    assert GOOD.is_valid
    assert not load.is_valid
    assert _cell(a=(GOOD, load)).ratio("a", ours="a") is None


def test_connections_without_a_reply_are_not_valid_but_for_ceilings():
    hung = replace(GOOD, hung=1)
    assert (hung.is_right, hung.is_valid) == (True, False)
    cell = _cell(a=(hung,), flask=(hung,), triton=(WRONG,))
    assert [cell.is_valid(name) for name in ("a", "flask", "triton", "b")] == [
        False,
        True,
        False,
        False,
    ]


def test_a_ratio_is_taken_within_each_round():
    # the machine is twice as fast in the second round, and so are both systems
    cell = _cell(trihook=_loads(200, 400, 300), a=_loads(100, 200, 200))
    assert cell.ratio("a") == Spread(2.0, 1.5, 2.0)
    latency = cell.ratio("a", "p50_ms")
    assert (latency.median, latency.greatest) == pytest.approx((1 / 2, 2 / 3))


def test_the_serial_ceiling_adds_up_the_times_of_both():
    cell = _cell(trihook=_loads(60, 60), flask=_loads(100, 300), triton=_loads(300, 100))
    assert cell.rates(SERIAL) == pytest.approx([75, 75])
    assert cell.ratio(SERIAL).median == pytest.approx(0.8)
    assert _cell(trihook=_loads(60), flask=_loads(100)).ratio(SERIAL) is None


def test_the_fastest_peer_is_known_once_all_of_them_answered_right():
    slow, quick = _loads(10, 10, 10), _loads(20, 20, 5)
    ours = _loads(30, 30, 30)
    cell = _cell(trihook=ours, a=slow, b=quick)
    assert (cell.fastest_peer(), cell.ratio(FASTEST).median) == ("b", 1.5)
    wrong, absent = _cell(trihook=ours, a=slow, b=(*quick[:2], WRONG)), _cell(trihook=ours, a=slow)
    for unknown in (wrong, absent):
        assert (unknown.fastest_peer(), unknown.ratio(FASTEST)) == (None, None)
        [verdict] = judge([unknown], [Goal("vector@8", FASTEST, 1.0)])
        assert (str(verdict), verdict.against) == ("not measured", FASTEST)


def test_the_fastest_peer_is_named_in_the_targets():
    systems = {"trihook": "ours", "kserve": "peer", "bentoml": "peer"}
    rounds = {"trihook": _loads(30), "kserve": _loads(20), "bentoml": _loads(10)}
    said = compared._targets([Cell("efficientnet", 16, rounds, systems)])
    assert "rate, trihook / fastest peer (kserve) | ≥ 1.2 | 1.50 (1.50…1.50) | met" in said


def test_goals_against_a_system_that_is_not_in_the_record_are_not_measured():
    """Some peers may not be installed: the goals are the real ones."""
    rounds = {"trihook": _loads(30), "kserve": _loads(10)}
    roles = {"trihook": "ours", "kserve": "peer"}
    verdicts = judge([Cell("vector", 32, rounds, roles), Cell("vector", 1, rounds, roles)])
    assert len(verdicts) == len(GOALS)
    assert {v.goal.against for v in verdicts if v.is_met} == {"kserve"}
    assert {str(v) for v in verdicts if v.goal.against != "kserve"} == {"not measured"}


@pytest.mark.parametrize(
    ("bound", "field", "said"),
    [
        (2.0, "rate", "met"),
        (2.5, "rate", "**missed** by 20%"),
        (0.4, "p50_ms", "**missed** by 25%"),
    ],
)
def test_a_goal_is_held_against_the_median(bound, field, said):
    cell = _cell(trihook=_loads(100, 200, 200), a=_loads(100, 100, 100))
    [verdict] = judge([cell], [Goal("vector@8", "a", bound, field)])
    assert str(verdict) == said


def test_what_was_not_measured_is_neither_met_nor_missed():
    [verdict] = judge([_cell(trihook=_loads(1))], [Goal("vector@8", "a", 1.0)])
    assert (str(verdict), verdict.is_met) == ("not measured", False)


def test_samples_are_grouped_in_the_order_of_their_rounds():
    samples = [
        {"work": "vector", "connections": 8, "system": "a", "round": n, "load": asdict(load)}
        for n, load in [(1, WRONG), (0, GOOD)]
    ]
    [cell] = read_cells({"samples": samples, "systems": {"a": {"role": "peer"}}})
    assert (cell.name, cell.rounds["a"]) == ("vector@8", (GOOD, WRONG))


def _growth(name, *loads):
    return SECTIONS["growth"]({name: {str(n): [asdict(load)] for n, load in enumerate(loads, 1)}})


def test_the_cost_of_growth_is_that_of_the_most():
    said = _growth("plugins", *_loads(109, 100))
    assert "A request costs +9.0% (+9.0%…+9.0%)" in said
    assert said.endswith("at most 10%: met.")
    assert _growth("plugins", *_loads(111, 100)).endswith("at most 10%: **missed**.")


@pytest.mark.parametrize("name", ["plugins", "direct", "items"])
@pytest.mark.parametrize("bad", [WRONG, NONE])
def test_there_is_no_verdict_on_wrong_answers(name, bad):
    for loads in ((GOOD, bad), (bad, GOOD), (bad, bad)):
        said = _growth(name, *loads)
        assert "**INVALID**" in said
        assert "met" not in said.replace("measured", "")


def test_the_cost_of_an_item_is_not_to_rise():
    said = _growth("items", *_loads(100, 55))
    assert "a vector costs -9.1% (-9.1%…-9.1% in 1 rounds) to what it does in those of 1" in said
    assert said.endswith("does not rise: met.")
    assert _growth("items", *_loads(100, 45)).endswith("does not rise: **missed**.")


def test_what_is_not_valid_is_named_and_ceilings_are_excused():
    hung = replace(GOOD, hung=2)
    cell = _cell(
        a=(GOOD, replace(WRONG, example="<p>")), b=(hung,), flask=(GOOD, hung), triton=(GOOD,)
    )
    systems = {name: {"title": name.title()} for name in cell.rounds}
    record = {"systems": systems, "absent": {}, "not_installed": []}
    assert "\n".join(compared._warn([cell], record)) == (
        "> **INVALID: vector@8, A**: 1 wrong, 0 refused, 0 socket errors, "
        "0 connections without any reply, of 100 replies. First: `<p>`\n"
        "> **INVALID: vector@8, B**: 0 wrong, 0 refused, 0 socket errors, "
        "2 connections without any reply, of 100 replies\n"
        "> vector@8, Flask: in 1 of 2 rounds some of the connections (2) got no reply at all; "
        "as a ceiling it counts all the same."
    )


def test_batches_are_not_judged_by_wrong_answers():
    entry = {"rate": 1.0, "request_batch": 1, "execution_batch": 1, "valid": True}
    assert "must be 1: met" in SECTIONS["batches"]({"1": entry, "2": entry})
    wrong, two = {**entry, "valid": False}, {**entry, "request_batch": 1.01}
    assert "must be 1: not measured." in SECTIONS["batches"]({"1": wrong, "2": entry})
    assert "must be 1: met." in SECTIONS["batches"]({"1": entry, "2": wrong})
    assert "must be 1: **missed**." in SECTIONS["batches"]({"1": two, "2": entry})


class Stalling(socketserver.StreamRequestHandler):
    """Answers at once, but for one question that it lets wait."""

    def handle(self):
        while self.rfile.readline():
            while self.rfile.readline().strip():
                pass
            self.server.asked += 1
            if self.server.asked == 5:
                time.sleep(0.5)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_what_was_due_while_nothing_answered_counts_as_late():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Stalling) as server:
        server.daemon_threads, server.asked = True, 0
        threading.Thread(target=server.serve_forever).start()
        latencies, failed = liveness._ask(server.server_address[1], 1.0)
        server.shutdown()
    assert failed == 0
    late = [latency for latency in latencies if latency > 100]
    assert len(late) >= 30  # of the 50 that were due meanwhile
