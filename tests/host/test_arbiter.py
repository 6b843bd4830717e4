"""The master ends with one status, however many workers fail to start."""

import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from trihook.host.arbiter import SteadyArbiter


@pytest.fixture
def failures(monkeypatch):
    """Make reaping raise for each of these workers, one at a time."""
    left = ["first", "second", "third"]

    def reap(_):
        if left:
            raise HaltServer(left.pop(0), 3)

    monkeypatch.setattr(Arbiter, "reap_workers", reap)
    monkeypatch.setattr(Arbiter, "halt", lambda arbiter, reason, status: arbiter.reap_workers())
    return left


def test_the_first_failure_ends_it_and_the_others_do_not_disturb(failures):
    arbiter = SteadyArbiter.__new__(SteadyArbiter)
    arbiter._ending = False
    with pytest.raises(HaltServer, match="first"):
        arbiter.reap_workers()
    arbiter.halt("first", 3)
    assert failures == []
