"""The parts of a service, as far as they can be told without starting them."""

import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from trihook.deploy import environment_part
from trihook.deploy.environment import BUILT
from trihook.deploy.environment_part import EnvironmentPart
from trihook.deploy.generation import Generation, Spec
from trihook.deploy.host_part import HostPart
from trihook.deploy.parts import PartError, refusals_told

VARIABLES = ("TRIHOOK_DEFAULT_MODEL", "TRIHOOK_GRACEFUL_TIMEOUT", "TRIHOOK_CONFIG")


@pytest.fixture
def host(tmp_path, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "app").mkdir()
    generation = Generation(tmp_path, Spec(("vector:1",), default_model="chosen"))
    triton = SimpleNamespace(address="127.0.0.1:1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        part = HostPart(generation, listener, tmp_path / "host.log", triton)
        yield part
        part.close()


@pytest.fixture
def started(host, monkeypatch):
    """Start the host, and return its command and its environment."""

    def start():
        calls = []
        monkeypatch.setattr(
            "trihook.deploy.host_part.spawn",
            lambda command, log, **options: calls.append((command, options["environment"])),
        )
        host.start()
        return calls[0]

    return start


def test_a_chosen_default_model_gives_way_to_that_of_the_deploying_shell(started, monkeypatch):
    assert started()[1]["TRIHOOK_DEFAULT_MODEL"] == "chosen"
    monkeypatch.setenv("TRIHOOK_DEFAULT_MODEL", "mine")
    assert started()[1]["TRIHOOK_DEFAULT_MODEL"] == "mine"


def test_the_address_in_the_settings_is_not_the_service_s(started):
    command, _ = started()
    assert command[command.index("--host") + 1] == "127.0.0.1"


def test_a_script_s_modules_take_no_name_from_the_standard_library(started, host, tmp_path):
    for name in ("queue", "types", "trihook"):
        (tmp_path / "app" / f"{name}.py").write_text("raise SystemExit('it is imported')")
    command, environment = started()
    done = subprocess.run(
        [*command, "--help"],
        cwd=tmp_path / "app",
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith("Usage: trihook serve"), done.stderr


def test_requests_under_way_have_the_time_that_the_settings_say(
    host, started, tmp_path, monkeypatch
):
    started()
    assert host.patience == 30
    (tmp_path / "app" / "trihook.toml").write_text("graceful_timeout = 300")
    assert host.patience == 300
    monkeypatch.setenv("TRIHOOK_GRACEFUL_TIMEOUT", "7")
    assert host.patience == 7


def test_a_build_that_has_ended_is_not_killed_later(tmp_path, monkeypatch):
    def spawn(*_, **__):
        (tmp_path / BUILT).touch()
        return subprocess.Popen([sys.executable, "-c", ""])

    killed = []
    monkeypatch.setattr(environment_part, "spawn", spawn)
    monkeypatch.setattr(environment_part, "kill_group", killed.append)
    part = EnvironmentPart(tmp_path / "requirements.txt", tmp_path, tmp_path / "log")
    part.start()
    deadline = time.monotonic() + 30
    while part._process is not None:
        assert part.is_ready()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert part.is_started
    part.stop()
    assert killed == []


def test_what_the_system_refuses_a_part_is_said_with_its_file(tmp_path):
    with (
        pytest.raises(PartError, match=f"^no such file or directory: {tmp_path}/absent$"),
        refusals_told(),
    ):
        (tmp_path / "absent").read_bytes()
