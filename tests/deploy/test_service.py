"""Services as they lie on the disk, whole or damaged: what can be told without a process."""

import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner
from trihook import DeploymentError
from trihook.cli.services import services
from trihook.deploy import LocalService, Registry, _activate, starting, used_models, waiting
from trihook.deploy import service as module
from trihook.deploy.generation import write_generation
from trihook.deploy.home import Home
from trihook.deploy.status import Failure, Status, lock, write_status
from trihook.deploy.storage import discard
from trihook.deploy.supervisor import Supervisor

SPEC = {"models": ["vector:1"], "workers": 2}


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def add(home):
    def add_it(name):
        folder = home.services / name
        (folder / "generations" / "1").mkdir(parents=True)
        (folder / "generations" / "1" / "spec.json").write_text(json.dumps(SPEC))
        (folder / "service.json").write_text('{"port": 6789}')
        return LocalService.find(name, home=home.folder)

    return add_it


def cut(service, file):
    (service.folder / file).write_text("")


DAMAGES = [
    lambda service: shutil.rmtree(service.folder / "generations"),
    lambda service: shutil.rmtree(service.folder / "generations" / "1"),
    lambda service: cut(service, "generations/1/spec.json"),
    lambda service: cut(service, "service.json"),
    lambda service: cut(service, "status.json"),
]


def show(service):
    return service.generation, service.status, service.scoring_uri


def listed(home):
    done = CliRunner().invoke(services, ["--home", str(home.folder)], catch_exceptions=False)
    assert done.exit_code == 0
    return [line.split() for line in done.stdout.splitlines()[1:]], done.stderr


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_service_is_named_and_hides_no_other(add, home, damage):
    bad, _ = add("bad"), add("good")
    damage(bad)
    with pytest.raises(DeploymentError, match=f"service 'bad' cannot be read: .*: {bad.folder}/"):
        show(bad)
    rows, said = listed(home)
    assert rows == [
        ["bad", "damaged"],
        ["good", "stopped", "vector:1", "http://localhost:6789/score"],
    ]
    assert said.startswith("Error: service 'bad' cannot be read: ")
    bad.delete()
    assert [row[0] for row in listed(home)[0]] == ["good"]


def test_whoever_waits_for_a_service_is_told_that_it_is_damaged(add):
    bad = add("bad")
    cut(bad, "status.json")
    with pytest.raises(DeploymentError, match=r"service 'bad' cannot be read: .*/status.json"):
        bad.wait_for_deployment()


def test_whoever_waits_for_a_service_is_told_that_it_was_deleted(add):
    gone = add("gone")
    shutil.rmtree(gone.folder)
    with pytest.raises(DeploymentError, match="service 'gone' was deleted meanwhile"):
        gone.wait_for_deployment()


@pytest.fixture
def model(home, tmp_path):
    file = tmp_path / "source" / "triton" / "vector" / "1" / "model.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"onnx")
    return Registry(home).register(tmp_path / "source", "vector", tags={})


@pytest.fixture
def running(add):
    """Say of a service that it runs, as long as its lock is held."""

    def run(name, supervisor=0):
        service = add(name)
        (service.folder / "generations" / "1" / "source").mkdir()
        write_status(service.folder, Status("running", generation=1, supervisor=supervisor))
        run.held.append(lock(service.folder))
        return service

    run.held = []
    yield run
    for handle in run.held:
        os.close(handle)


def test_a_service_that_was_deployed_meanwhile_is_not_replaced(home, model, running, monkeypatch):
    def write(folder, wanted):
        first.append(running("vector"))
        return write_generation(folder, wanted)

    first = []
    monkeypatch.setattr(starting, "write_generation", write)
    with pytest.raises(DeploymentError, match=r"service 'vector' is .* already: update it"):
        LocalService.deploy("vector", [model], port=0, home=home.folder)
    assert first[0].status.generation == 1
    assert list(home.staging.iterdir()) == []


@pytest.mark.parametrize("has_stopped", [True, False])
def test_a_service_that_was_deployed_in_the_last_moment_is_not_replaced(
    home, model, add, running, monkeypatch, has_stopped
):
    def look(service, *, overwrite):
        require_new(service, overwrite=overwrite)
        if len(looks) == 1:
            shutil.rmtree(service.folder, ignore_errors=True)
            running("vector")
        looks.append(service.name)

    looks, require_new = [], starting.require_new
    if has_stopped:
        add("vector")
    for place in (starting, module):
        monkeypatch.setattr(place, "require_new", look)
    with pytest.raises(DeploymentError, match="service 'vector' is being deployed already"):
        LocalService.deploy("vector", [model], port=0, home=home.folder)
    assert LocalService.find("vector", home=home.folder).status.generation == 1


def test_a_stopped_service_stays_where_its_port_has_been_taken(home, model, add):
    service = add("vector")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (service.folder / "service.json").write_text(json.dumps({"port": port}))
        with pytest.raises(DeploymentError, match=f"port {port} cannot be listened at"):
            LocalService.deploy("vector", [model], port=port, home=home.folder)
    assert LocalService.find("vector", home=home.folder).state == "stopped"


def test_a_service_whose_lock_nobody_gives_back_is_not_waited_for_for_ever(running, monkeypatch):
    service = running("vector")
    monkeypatch.setattr(waiting, "_STOP_SECONDS", 0.2)
    with pytest.raises(DeploymentError, match=r"'vector' does not end: its lock is held: .*/lock$"):
        service.delete()
    assert service.folder.is_dir()


@pytest.mark.parametrize(
    "other", [Status("running", 2), Status("running", 1, failure=Failure(generation=2))]
)
def test_an_update_that_came_between_is_not_undone(home, model, running, monkeypatch, other):
    def write(folder, wanted, before):
        write_status(service.folder, other)
        return write_generation(folder, wanted, before)

    service = running("vector")
    monkeypatch.setattr(starting, "write_generation", write)
    with pytest.raises(DeploymentError, match="service 'vector' was updated meanwhile"):
        service.update()
    assert [path.name for path in (service.folder / "generations").iterdir()] == ["1"]


def test_a_service_that_is_deleted_meanwhile_is_not_listed(add, home, monkeypatch):
    gone, good = add("gone"), add("good")
    monkeypatch.setattr(LocalService, "find_all", lambda **_: (gone, good))
    shutil.rmtree(gone.folder)
    rows, said = listed(home)
    assert ([row[0] for row in rows], said) == (["good"], "")


def test_a_file_among_the_services_is_none(add, home):
    add("good")
    (home.services / ".directory").write_text("")
    assert [service.name for service in LocalService.find_all(home=home.folder)] == ["good"]


def test_what_a_later_trihook_says_of_a_service_is_left_out(add, home):
    service = add("vector")
    spec = service.folder / "generations" / "1" / "spec.json"
    spec.write_text(json.dumps({**SPEC, "gpus": 2}))
    (service.folder / "service.json").write_text('{"port": 6789, "address": "::"}')
    (service.folder / "status.json").write_text('{"phase": "running", "mood": "good"}')
    assert service.generation.spec.models == ("vector:1",)
    assert (service.port, service.status) == (6789, Status("running"))


def test_a_status_is_read_as_it_was_written(add):
    service = add("vector")
    status = Status("failed", supervisor=7, triton=None)
    write_status(service.folder, status)
    assert service.status == status


def test_the_models_of_a_damaged_service_are_not_taken_for_unused(add, home):
    cut(add("bad"), "generations/1/spec.json")
    with pytest.raises(DeploymentError, match=r"service 'bad' cannot be read: .*spec\.json"):
        used_models(home)


def test_a_service_that_was_replaced_meanwhile_is_not_updated(home, model, running, monkeypatch):
    def write(folder, wanted, before):
        shutil.rmtree(service.folder)
        running("vector")
        return write_generation(folder, wanted, before)

    service = running("vector")
    monkeypatch.setattr(starting, "write_generation", write)
    with pytest.raises(DeploymentError, match="service 'vector' was replaced meanwhile"):
        service.update()
    assert [path.name for path in (service.folder / "generations").iterdir()] == ["1"]


def test_who_waits_for_the_end_of_a_service_leaves_its_successor_alone(running, monkeypatch):
    def signalled(process, number):
        assert process == 4711
        sent.append(number)
        shutil.rmtree(service.folder)  # another one who deletes it was first
        replaced.append(running("vector"))
        os.close(held)

    service, sent, replaced = running("vector", supervisor=4711), [], []
    held = running.held.pop()
    monkeypatch.setattr(waiting, "_signal", lambda pid, number, _: signalled(pid, number) or True)
    service.delete()
    assert sent == [signal.SIGTERM]
    assert replaced[0].status.generation == 1


def test_a_process_that_has_the_number_of_a_supervisor_is_not_ended(running, monkeypatch):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        service = running("vector", supervisor=other.pid)
        monkeypatch.setattr(waiting, "_STOP_SECONDS", 0.3)
        with pytest.raises(DeploymentError, match="does not end: its lock is held"):
            service.delete()
        assert other.poll() is None
        other.communicate(b"\n")
        assert other.returncode == 0


def test_who_waits_for_a_service_hears_that_it_was_replaced(running, monkeypatch):
    service = running("vector")

    def replace_it(_):
        shutil.rmtree(service.folder)
        running("vector")

    monkeypatch.setattr(waiting.time, "sleep", replace_it)
    with pytest.raises(DeploymentError, match="service 'vector' was replaced meanwhile"):
        waiting.wait_for_generation(service.folder, 2, None)


def test_a_service_whose_supervisor_cannot_be_started_is_not_left(home, model, monkeypatch):
    def spawn(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(starting, "spawn_supervisor", spawn)
    with pytest.raises(KeyboardInterrupt):
        LocalService.deploy("vector", [model], port=0, home=home.folder)
    assert list(home.services.iterdir()) == []
    assert list(home.staging.iterdir()) == []


def test_a_lock_that_may_not_be_read_is_a_reason(add, home, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    service = add("theirs")
    monkeypatch.setattr("trihook.deploy.status.opened", refuse)
    with pytest.raises(DeploymentError, match="service 'theirs' cannot be read: permission denied"):
        service.state  # noqa: B018
    rows, said = listed(home)
    assert rows == [["theirs", "damaged"]]
    assert "permission denied" in said


def test_logs_are_followed_until_another_service_takes_the_place(add):
    service = add("vector")
    (service.folder / "logs").mkdir()
    (service.folder / "logs" / "host.log").write_text("one\ntwo\n")
    lines = service.log_lines(follow=True)
    assert [next(lines), next(lines)] == [("host", "one"), ("host", "two")]
    shutil.rmtree(service.folder)
    (add("vector").folder / "logs").mkdir()
    assert list(lines) == []


def test_a_folder_of_another_layer_is_removed_file_by_file(tmp_path, monkeypatch):
    def rename(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    folder = tmp_path / "model"
    (folder / "1").mkdir(parents=True)
    monkeypatch.setattr(type(folder), "rename", rename)
    discard(folder, tmp_path / "staging")
    assert not folder.exists()


def test_a_file_among_the_generations_is_none(add, home, tmp_path):
    service = add("vector")
    (service.folder / "generations" / ".directory").touch()
    (service.folder / "generations" / "1" / "settings.json").touch()
    assert used_models(home) == {"vector:1": ("vector",)}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        supervisor = Supervisor(service.folder, listener)
        (service.folder / "generations" / "1").rename(tmp_path / "1")
        supervisor._look_for_generation()
    assert supervisor._stacks() == []


def test_a_command_keeps_no_handle_of_a_socket_but_the_one_it_is_given():
    code = """if True:
        import os
        there = [n for n in range(64) if os.path.exists(f"/proc/self/fd/{n}")]
        print([n for n in there if os.readlink(f"/proc/self/fd/{n}").startswith("socket:")])
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        high = fcntl.fcntl(listener, fcntl.F_DUPFD, 20)
        activate = [sys.executable, "-I", "-S", _activate.__file__, str(os.getpid()), str(high)]
        said = subprocess.run(
            [*activate, sys.executable, "-c", code],
            pass_fds=[high],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        os.close(high)
    assert said == "[3]\n"
