"""What a worker is built with is chosen from the settings and the machine."""

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
