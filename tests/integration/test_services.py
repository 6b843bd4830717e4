"""Local services, each with a real Triton and host: deploying, dying, updating, deleting."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from onnx_models import add_model, linear_model
from servers import environment, free_port, wait_until, workers_of
from trihook import DeploymentError
from trihook.client import ScoringClient
from trihook.deploy import LocalService, Model

PROMISE = 10  # seconds, in which what died is back


def trihook(home, *arguments, **more):
    return subprocess.run(
        [sys.executable, "-m", "trihook", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**environment(), "TRIHOOK_HOME": str(home)},
        **more,
    )


def processes_of(folder):
    """Return the processes that work in a folder, or on something in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            works_in = str((process / "cwd").readlink())
        except OSError:
            continue
        if str(folder).encode() in command or works_in.startswith(str(folder)):
            found.append(int(process.name))
    return found


def register(home, folder, name="vector", model=None):
    add_model(folder / "triton", name, model or linear_model(features=3))
    return Model.register(folder, name, home=home)


def score(service, value=(1, 2, 3)):
    client = ScoringClient(service.scoring_uri, timeout=30)
    try:
        return client.score_json(list(value)).value["outputs"]["y"]
    finally:
        client.close()


def start(home, *arguments):
    """Run the command line with that home, and go on meanwhile."""
    return subprocess.Popen(
        [sys.executable, "-m", "trihook", *map(str, arguments)],
        env={**environment(), "TRIHOOK_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # shells have what they start in the background ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
    )


def hanging_script(folder, waiting):
    """Write an entry script that does not become ready, and makes a file once it waits."""
    script = folder / "score.py"
    script.write_text(
        f"import pathlib, time\n\ndef init():\n    pathlib.Path({str(waiting)!r}).touch()\n"
        "    time.sleep(600)\n\ndef run(data): pass\n"
    )
    return script


@contextmanager
def left_clean(home):
    """Delete what services there are in the end, and hold that nothing is left of them."""
    try:
        yield
    finally:
        for folder in (home / "services").glob("*"):
            LocalService.find(folder.name, home=home).delete()
    wait_until(lambda: not processes_of(home), 5)
    assert list((home / "services").glob("*")) == []
    assert list((home / "staging").glob("*")) == []


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("services") / "home"
    with left_clean(folder):
        yield folder


@pytest.fixture(scope="module")
def models(home, tmp_path_factory):
    """Register vector:1 with two outputs, vector:2 with three, and one that cannot be loaded."""
    folder = tmp_path_factory.mktemp("models")
    first = register(home, folder / "1")
    second = register(home, folder / "2", model=linear_model(features=3, outputs=3))
    register(home, folder / "broken", "broken", b"no model at all")
    return first, second


@pytest.fixture(scope="module")
def service(home, models):
    deployed = LocalService.deploy("vector", [models[0]], port=0, workers=2, home=home)
    deployed.wait_for_deployment()
    return deployed


def test_it_is_listed_and_shown_as_running(service, home):
    assert service.state == "running"
    [listed] = json.loads(trihook(home, "services", "--json").stdout)
    assert listed == {
        "name": "vector",
        "state": "running",
        "models": "vector:1",
        "scoring_uri": service.scoring_uri,
    }
    shown = trihook(home, "show", "vector").stdout
    assert f"scoring_uri   {service.scoring_uri}\n" in shown
    assert score(service) == [8.0, 14.0]


def test_logs_are_those_of_every_part(service, home):
    lines = trihook(home, "logs", "vector").stdout.splitlines()
    assert {line.partition(" ")[0] for line in lines} == {"service", "triton", "host"}
    assert service.get_logs().splitlines() == lines


def test_logs_can_be_followed(service, home):
    command = [sys.executable, "-m", "trihook", "logs", "vector", "-f", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            with (service.folder / "logs" / "service.log").open("a") as log:
                log.write("a later line\n")
            assert any("a later line" in line for line in process.stdout)
        finally:
            process.kill()


def test_a_model_in_use_is_not_deleted(service, home):
    refused = trihook(home, "registry", "delete", "vector:1")
    assert refused.returncode == 1
    assert refused.stderr == "Error: model vector:1 is used by service vector\n"


def test_a_second_of_the_same_name_is_refused(service, home):
    refused = trihook(home, "deploy", "vector", "--model", "vector", "--port", 0)
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: service 'vector' is running already")
    assert score(service) == [8.0, 14.0]


@pytest.mark.parametrize("victim", ["triton", "host", "worker"])
def test_what_is_killed_is_back_within_ten_seconds_and_once(service, victim):
    status = service.status
    pid = workers_of(status.host)[0] if victim == "worker" else getattr(status, victim)
    os.kill(pid, signal.SIGKILL)

    def is_back():
        if victim == "worker":
            after = workers_of(status.host)
            return len(after) == 2 and pid not in after
        after = getattr(service.status, victim)
        return after not in (pid, None) and service.state == "running"

    wait_until(is_back, PROMISE)
    assert score(service) == [8.0, 14.0]
    # the host itself looks after its workers
    assert service.status.recoveries == status.recoveries + (victim != "worker")


def test_it_is_called_broken_while_a_part_is_down(service):
    os.kill(service.status.host, signal.SIGSTOP)
    for pid in workers_of(service.status.host):
        os.kill(pid, signal.SIGSTOP)
    try:
        assert service.state == "broken"
    finally:
        for pid in [*workers_of(service.status.host), service.status.host]:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: service.state == "running", PROMISE)


class Load:
    """Callers that score without a pause, half of them on kept connections."""

    def __init__(self, service, callers=4):
        self.replies = []
        self.errors = []
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(service, number % 2 == 0))
            for number in range(callers)
        ]

    def _call(self, service, keep):
        client = ScoringClient(service.scoring_uri, timeout=60, retries=0)
        while not self._ended.is_set():
            try:
                self.replies.append(len(client.score_json([1, 2, 3]).value["outputs"]["y"]))
            except Exception as exc:  # noqa: BLE001 - whatever it is, a request was lost
                self.errors.append(repr(exc))
            if not keep:
                client.close()
        client.close()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()


def test_an_update_loses_no_request_and_its_failure_changes_nothing(service, home):
    with Load(service) as load:
        wait_until(lambda: len(load.replies) > 100)
        failed = trihook(home, "update", "vector", "--model", "broken")
        assert failed.returncode == 1
        assert failed.stderr.startswith("Error: service 'vector' failed: the Triton does not")
        wait_until(lambda: service.state == "running")
        assert set(load.replies) == {2}

        updated = trihook(home, "update", "vector", "--model", "vector:2")
        assert updated.returncode == 0, updated.stderr
        before = len(load.replies)
        wait_until(lambda: set(load.replies[before:]) >= {3} and len(load.replies) > before + 200)
        wait_until(lambda: len(list((service.folder / "generations").iterdir())) == 1, 60)
    assert load.errors == []
    assert set(load.replies[-50:]) == {3}
    assert service.generation.spec.models == ("vector:2",)


def test_an_update_can_be_interrupted_and_cancelled(service, home, tmp_path):
    waiting = tmp_path / "waiting"
    script = hanging_script(tmp_path, waiting)
    before = service.generation.number
    for end in ("interrupt", "cancel"):
        waiting.unlink(missing_ok=True)
        updating = start(home, "update", "vector", "--entry-script", script)
        wait_until(waiting.exists)
        wait_until(lambda: service.status.step.startswith("host:"))
        shown = json.loads(trihook(home, "show", "vector", "--json").stdout)
        assert (shown["state"], shown["updating"][:5]) == ("running", "host:")
        refused = trihook(home, "update", "vector", "--model", "vector:2")
        assert "is being updated already: wait, or cancel that" in refused.stderr
        if end == "interrupt":
            updating.send_signal(signal.SIGINT)
        else:
            said = trihook(home, "update", "vector", "--cancel")
            assert (said.returncode, said.stdout) == (
                0,
                "the update of service vector is cancelled\n",
            )
        _, errors = updating.communicate(timeout=60)
        assert updating.returncode == 1
        assert ("Aborted!" if end == "interrupt" else "the update was cancelled") in errors
        assert (service.state, service.generation.number) == ("running", before)
        assert score(service) != []
    none = trihook(home, "update", "vector", "--cancel")
    assert none.stderr == "Error: service 'vector' is not being updated\n"
    both = trihook(home, "update", "vector", "--cancel", "--model", "vector:2")
    assert both.returncode == 2
    wait_until(lambda: len(list((service.folder / "generations").iterdir())) == 1, 60)


def test_an_overwritten_service_runs_the_new_model_at_the_same_port(service, home):
    port = service.port
    done = trihook(home, "deploy", "vector", "--model", "vector:1", "--port", port, "--overwrite")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        f"service vector is running at http://localhost:{port}/score"
    )
    assert any(line.startswith("Triton: loading the models") for line in done.stdout.splitlines())
    assert score(service) == [8.0, 14.0]


def test_a_service_whose_supervisor_is_killed_is_stopped_and_leaves_nothing(service, home):
    os.kill(service.status.supervisor, signal.SIGKILL)
    wait_until(lambda: service.state == "stopped" and not processes_of(service.folder), 40)
    refused = trihook(home, "update", "vector", "--model", "vector:2")
    assert refused.stderr == "Error: service 'vector' is stopped: deploy it anew\n"
    assert trihook(home, "delete", "vector").stdout == "deleted vector\n"
    assert not service.folder.exists()


@pytest.mark.parametrize("moment", [0.1, 0.4, 0.7, 1.0, 1.5, 2.5])
def test_a_deployment_that_is_killed_half_way_is_listed_honestly_and_can_be_deleted(
    home, models, moment
):
    command = [sys.executable, "-m", "trihook", "deploy", "halved", "--model", "vector:1"]
    command += ["--port", str(free_port()), "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment()) as process:
        time.sleep(moment)
        process.kill()
    listed = {s["name"]: s["state"] for s in json.loads(trihook(home, "services", "--json").stdout)}
    assert listed.get("halved", "stopped") in ("starting", "running", "stopped")
    running = processes_of(home / "services" / "halved")
    assert (listed.get("halved") in (None, "stopped")) == (not running)
    if "halved" in listed:
        assert trihook(home, "delete", "halved").returncode == 0
    wait_until(lambda: not processes_of(home / "services" / "halved"), 5)


def fails(home, *arguments, **more):
    """Deploy, hold that it failed and that nothing runs, and return what was said."""
    failed = trihook(home, "deploy", "failing", *arguments, **more)
    assert failed.returncode == 1
    wait_until(lambda: not processes_of(home / "services" / "failing"), 5)
    return failed.stderr.splitlines()


def test_a_port_that_is_taken_is_one_line(home, models):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert fails(home, "--model", "vector", "--port", port) == [
            f"Error: port {port} cannot be listened at: address already in use"
        ]
    assert not (home / "services" / "failing").exists()


def test_a_missing_model_is_one_line(home, models):
    assert fails(home, "--model", "vector:9") == [
        "Error: model 'vector' has no version '9'; it has 1, 2"
    ]
    assert fails(home, "--model", "absent") == [
        "Error: no model 'absent' is registered; registered are: broken, vector"
    ]


SCRIPT = """
import json, os, urllib.request

def init():
    global ready
    with urllib.request.urlopen(f"http://{os.environ['TRIHOOK_TRITON_URL']}/v2/health/ready") as r:
        ready = r.status == 200 and os.path.isdir(os.environ["AZUREML_MODEL_DIR"] + "/triton")

def run(data):
    return {"outputs": {"y": json.loads(data)[:LENGTH] if ready else None}}
"""


def test_a_service_outlives_its_folder_for_temporary_files(home, models, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        service = LocalService.deploy("lasting", ["vector:1"], port=0, home=home)
        service.wait_for_deployment()
    folder.rename(tmp_path / "moved")
    with pytest.raises(DeploymentError, match="Triton cannot be started: no such file"):
        service.update(["vector:2"])
    assert score(service) == [8.0, 14.0]
    os.kill(service.status.triton, signal.SIGKILL)
    wait_until(lambda: service.status.triton is None)
    folder.mkdir()
    wait_until(lambda: service.state == "running", 30)
    assert score(service) == [8.0, 14.0]
    service.delete()


def test_a_script_is_updated_without_loss_and_not_by_a_broken_one(home, models, tmp_path):
    script = tmp_path / "score.py"
    script.write_text(SCRIPT.replace("LENGTH", "2"))
    service = LocalService.deploy("script", ["vector:1"], entry_script=script, port=0, home=home)
    service.wait_for_deployment()
    with Load(service) as load:
        wait_until(lambda: len(load.replies) > 50)
        script.write_text("def run(data):\n    return data\n\ndef init():\n    1 / 0\n")
        with pytest.raises(DeploymentError) as failed:
            service.update(entry_script=script)
        assert str(failed.value).splitlines()[0] == (
            "service 'script' failed: the host ended with status 3: "
            "ZeroDivisionError: division by zero"
        )
        assert set(load.replies) == {2}
        script.write_text(SCRIPT.replace("LENGTH", "3"))
        service.update(entry_script=script)
        wait_until(lambda: load.replies[-1] == 3)
        wait_until(lambda: len(list((service.folder / "generations").iterdir())) == 1, 60)
    assert load.errors == []
    service.delete()


def test_a_deployment_that_is_interrupted_leaves_nothing(home, models, tmp_path):
    waiting = tmp_path / "waiting"
    script = hanging_script(tmp_path, waiting)
    arguments = ("--model", "vector:1", "--entry-script", script, "--port", 0)
    deploying = start(home, "deploy", "hanging", *arguments)
    wait_until(waiting.exists)
    deploying.send_signal(signal.SIGINT)
    _, errors = deploying.communicate(timeout=60)
    assert (deploying.returncode, "Aborted!" in errors) == (1, True)
    assert not (home / "services" / "hanging").exists()


def test_a_missing_script_is_one_line(home, models, tmp_path):
    script = tmp_path / "score.py"
    assert fails(home, "--model", "vector", "--entry-script", script, "--port", 0) == [
        f"Error: the entry script {script} does not exist"
    ]


def test_a_model_that_triton_cannot_load_is_named_with_the_logs_last_lines(home, models):
    first, *lines = fails(home, "--model", "broken", "--port", 0)
    assert first.startswith("Error: service 'failing' failed: the Triton does not start: ")
    assert "model 'broken': " in first
    assert len(lines) > 3
    [listed] = json.loads(trihook(home, "services", "--json").stdout)
    assert (listed["name"], listed["state"]) == ("failing", "failed")
    assert "Triton: " in trihook(home, "show", "failing").stdout
    assert trihook(home, "delete", "failing").returncode == 0


def test_a_full_disk_is_one_line(home, models, tmp_path):
    big = tmp_path / "notes"
    big.mkdir()
    (big / "score.py").write_bytes(b"#" * 3_000_000)

    def no_space():
        # stands for a full disk where a test may not mount one: no file may pass this size
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    [line] = fails(
        home, "--model", "vector", "--source-directory", big, "--entry-script", "score.py",
        preexec_fn=no_space,
    )  # fmt: skip
    assert line == "Error: service 'failing' cannot be deployed: file too large"
    assert not (home / "services" / "failing").exists()


@pytest.mark.timeout(900)  # pip downloads the host's own dependencies
def test_the_host_runs_in_an_environment_built_from_the_conda_file(home, models, tmp_path):
    conda = tmp_path / "conda.yml"
    conda.write_text("dependencies: [python=3.11, {pip: [toolz]}]")
    service = LocalService.deploy("isolated", ["vector:1"], environment=conda, port=0, home=home)
    service.wait_for_deployment()
    assert score(service) == [8.0, 14.0]
    python = Path(f"/proc/{service.status.host}/cmdline").read_bytes().split(b"\0")[0].decode()
    assert python.startswith(str(service.folder / "environments"))
    code = "import toolz, trihook; print(trihook.__file__)"
    shown = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith(str(service.folder / "environments"))
    service.delete()


def test_a_package_that_does_not_exist_is_named(home, models, tmp_path):
    conda = tmp_path / "conda.yml"
    conda.write_text("dependencies: [{pip: ['--no-index', no-such-package]}]")
    first, *_ = fails(home, "--model", "vector", "--environment", conda, "--port", 0)
    assert first == (
        "Error: service 'failing' failed: the environment does not start: "
        "ERROR: No matching distribution found for no-such-package"
    )
    LocalService.find("failing", home=home).delete()


@pytest.mark.parametrize("command", ["show", "logs", "update", "delete"])
def test_a_service_that_is_not_there_is_one_line(home, command):
    refused = trihook(home, command, "absent")
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: there is no service 'absent'; services are: ")
