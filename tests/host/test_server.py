"""What a worker is built with is chosen from the settings and the machine."""

import resource

import pytest
from trihook import service
from trihook.config import Settings
from trihook.host import app, server
from trihook.host.cores import Cores


@pytest.mark.parametrize(
    ("cores", "workers", "busy_poll"),
    [(Cores(2), 2, 0.25), (Cores(2), 3, 0.0), (Cores(8, 2), 2, 0)],
)
def test_a_worker_stays_awake_as_long_as_the_settings_say_if_there_are_cores_for_it(
    monkeypatch, cores, workers, busy_poll
):
    built = {}
    monkeypatch.setattr(server, "find_cores", lambda: cores)
    monkeypatch.setattr(service, "build_service", lambda *_, **options: built.update(options))
    monkeypatch.setattr(app, "create_app", lambda _: "app")
    host = server._Server(Settings(workers=workers, busy_poll=0.25))
    assert host.load() == "app"
    assert built == {"busy_poll": busy_poll}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((1024, 20_000), (4096, 20_000)),
        ((1024, resource.RLIM_INFINITY), (4096, resource.RLIM_INFINITY)),
        ((1024, 2000), (2000, 2000)),
        ((8192, 20_000), (8192, 20_000)),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY),) * 2,
        ((1024, 1024), (1024, 1024)),
    ],
)
def test_a_worker_may_open_files_for_all_its_connections(monkeypatch, before, after):
    limits = [before]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, given: limits.append(given))
    monkeypatch.setattr(server, "_check_plugins", lambda _: 3)  # which ends it
    with pytest.raises(SystemExit):
        server.serve(Settings(port=0))
    assert limits[-1] == after


def test_a_limit_that_the_system_does_not_take_is_let_be(monkeypatch):
    def refuse(*_):
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 20_000))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    server._allow_files()
