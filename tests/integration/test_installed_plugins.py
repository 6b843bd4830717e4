"""Plugins that pip installs into an environment: they answer, or are named for what is wrong."""

import subprocess
import sys
import sysconfig
import time
import venv
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from servers import add_plugin, environment, free_port, running_host

GOOD = """
from trihook import hookimpl

@hookimpl
def postprocess(outputs, model):
    if model.name == "vector":
        return {"sum": float(outputs["y"].sum())}
"""
MISSPELT = GOOD.replace("def postprocess(outputs, model)", "def postproces(outputs, model)")
NO_HOOK = "def postprocess(outputs): return None\n"
IMPORT_ERROR = "import a_package_that_nobody_has\n"
ARGUMENT = GOOD.replace("(outputs, model)", "(outputs, model, weather)")


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of a new environment that sees ours, for plugins to be installed into."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    [packages] = folder.glob("lib/python*/site-packages")
    ours = sysconfig.get_path("purelib")
    (packages / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    executable = folder / "bin" / "python"
    pip(executable, "install", "setuptools>=77")
    return str(executable)


def pip(python, *arguments):
    subprocess.run(
        [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        check=True,
        env=environment(),
    )


@pytest.fixture
def install(python, tmp_path):
    """Install a plugin's code as a distribution of its own, for one test."""
    installed = []

    def install_one(distribution, code, name="mine"):
        folder = tmp_path / distribution
        folder.mkdir()
        module = distribution.replace("-", "_")
        (folder / f"{module}.py").write_text(code)
        (folder / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["setuptools>=77"]\n'
            'build-backend = "setuptools.build_meta"\n'
            f'[project]\nname = "{distribution}"\nversion = "1.0"\n'
            f'[project.entry-points.trihook]\n{name} = "{module}"\n'
            f'[tool.setuptools]\npy-modules = ["{module}"]\n'
        )
        pip(python, "install", "--no-deps", "--no-build-isolation", str(folder))
        installed.append(distribution)

    yield install_one
    if installed:
        pip(python, "uninstall", "--yes", *installed)


def run(python, *arguments):
    return subprocess.run(
        [python, "-m", "trihook", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(),
    )


def test_an_installed_plugin_answers_at_the_next_start(triton, python, install):
    install("trihook-mine", GOOD)
    with running_host(triton.url, python=python) as host:
        answer = host.post("/score/vector", {"x": [1, 2, 3]})
    assert (answer.status, answer.json) == (200, {"sum": 22.0})


def test_a_blocked_plugin_does_not_answer(triton, python, install):
    install("trihook-mine", GOOD)
    with running_host(triton.url, "-p", "no:mine", python=python) as host:
        answer = host.post("/score/vector", {"x": [1, 2, 3]})
    assert answer.json == {"outputs": {"y": [8.0, 14.0]}}


@pytest.mark.parametrize(
    ("code", "name", "problem"),
    [
        (MISSPELT, "mine", "did you mean 'postprocess'?"),
        (NO_HOOK, "mine", "it implements no hook"),
        (IMPORT_ERROR, "mine", "ModuleNotFoundError: No module named 'a_package_that_nobody_has'"),
        (ARGUMENT, "mine", "'postprocess' has no argument 'weather'"),
        (GOOD, "pillow", "the name 'pillow' is also claimed by distribution trihook-pillow"),
    ],
)
def test_serve_refuses_a_broken_plugin_and_names_it(python, install, code, name, problem):
    install("trihook-mine", code, name)
    ended = run(python, "serve", "--port", str(free_port()))
    assert ended.returncode == 3
    [line] = [line for line in ended.stderr.splitlines() if "'trihook-mine'" in line]
    assert problem in line
    assert "Traceback" not in ended.stderr

    listed = run(python, "plugins")
    assert listed.returncode == 0
    assert "trihook-mine" in listed.stdout
    assert problem in listed.stderr


def test_a_broken_plugin_can_be_skipped_and_readiness_says_so(triton, python, install):
    install("trihook-mine", NO_HOOK)
    with running_host(triton.url, "--skip-broken-plugins", python=python) as host:
        assert host.request("GET", "/v2/health/ready").json["skipped_plugins"] == ["mine"]
        assert host.post("/score/vector", {"x": [1, 2, 3]}).status == 200


def test_our_own_interpreter_does_not_see_what_the_tests_install(python, install):
    install("trihook-mine", GOOD)
    theirs, ours = run(python, "plugins"), run(sys.executable, "plugins")
    assert (theirs.returncode, ours.returncode) == (0, 0)
    assert "trihook-mine" in theirs.stdout
    assert "trihook-mine" not in ours.stdout


LOCKING = '''
"""A plugin that counts under a lock, and logs, as any library may."""
import logging
import threading

from trihook import hookimpl

LOCK = threading.Lock()
LOG = logging.getLogger(__name__)
counts = {"items": 0}


@hookimpl(tryfirst=True)
def preprocess(item):
    LOG.info("item %d", item.index)
    for _ in range(5000):
        with LOCK:
            counts["items"] += 1
    return {"x": item.data}
'''


def test_hooks_may_log_and_take_locks(triton, tmp_path):
    add_plugin(tmp_path, "trihook-locking", "locking", LOCKING)
    body = {"instances": [[float(n)] * 3 for n in range(4)]}
    with running_host(triton.url, settings="timeout = 5", plugins=tmp_path) as host:
        with ThreadPoolExecutor(4) as callers:
            answers = list(callers.map(lambda _: host.post("/score/vector", body), range(200)))
        assert Counter(answer.status for answer in answers) == {200: 200}


SHARING = '''
"""A plugin that asks a service over one connection, which was made before the hooks' threads."""
import os
import subprocess
import sys
import threading
from http.client import HTTPConnection

from trihook import hookimpl

LOCK = threading.Lock()
CONNECTION = HTTPConnection(os.environ["SERVICE"])
CONNECTION.connect()


@hookimpl(tryfirst=True)
def preprocess(item):
    with LOCK:
        CONNECTION.request("GET", "/")
        CONNECTION.getresponse().read()
    if item.index == 0:
        subprocess.run([sys.executable, "-c", ""], check=True)
    return {"x": item.data}
'''


class Service(BaseHTTPRequestHandler):
    """Answers, and keeps connections; now and then it takes a moment."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked += 1
        if self.server.asked % 7 == 0:
            time.sleep(0.02)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def service():
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        server.asked = 0
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_hooks_may_share_a_connection_and_start_processes(triton, tmp_path, service, monkeypatch):
    add_plugin(tmp_path, "trihook-sharing", "sharing", SHARING)
    monkeypatch.setenv("SERVICE", service)
    body = {"instances": [[float(n)] * 3 for n in range(10)]}
    with (
        running_host(triton.url, plugins=tmp_path) as host,
        ThreadPoolExecutor(4) as callers,
    ):
        answers = list(callers.map(lambda _: host.post("/score/vector", body), range(20)))
    assert [answer.json for answer in answers] == [answers[0].json] * 20
    assert all("error" not in one for one in answers[0].json["predictions"])
