"""An entry script's pipeline answers as the host does, in every process and on greenlets."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from flask import Flask, g, request
from trihook.errors import ConfigError, PluginError
from trihook.host import greenlets
from trihook.host.entry import Entry

NOBODY = {"triton_url": "127.0.0.1:9"}


@pytest.fixture
def entry():
    entry = Entry(NOBODY)
    yield entry
    entry.close()


def ask(entry, method="POST", request_id=None, **sent):
    with Flask("server").test_request_context("/score", method=method, **sent):
        if request_id:
            g.request_id = request_id
        return entry.run(request)


def test_an_error_is_a_response_with_the_callers_id(entry):
    answer = ask(entry, data=b"{}", headers={"X-Request-Id": "mine"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert (answer.json["code"], answer.json["request_id"]) == ("triton_unavailable", "mine")


def test_on_greenlets_there_are_as_many_threads_for_hooks_as_the_settings_say(monkeypatch):
    patched = SimpleNamespace(is_module_patched=lambda name: name == "socket")
    monkeypatch.setitem(sys.modules, "gevent.monkey", patched)
    given = []
    monkeypatch.setattr(greenlets, "GeventRuntime", given.append)
    Entry({**NOBODY, "hook_threads": 3})
    assert given == [3]


def test_the_servers_id_is_preferred_to_the_callers(entry):
    answer = ask(entry, request_id="server's", data=b"", headers={"X-Request-Id": "mine"})
    assert (answer.status_code, answer.json["request_id"]) == (400, "server's")


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_only_post_is_scored(entry, method):
    answer = ask(entry, method, request_id="a")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "OPTIONS, POST")
    assert answer.json == {
        "message": f"{method} /score is not served here",
        "code": "method_not_allowed",
        "stage": "request",
        "plugin": "",
        "request_id": "a",
    }


def test_options_are_told(entry):
    answer = ask(entry, "OPTIONS")
    assert (answer.status_code, answer.data, answer.headers["Allow"]) == (200, b"", "OPTIONS, POST")


def test_keys_are_not_silently_left_unasked(monkeypatch):
    monkeypatch.setenv("TRIHOOK_KEYS", "0123456789abcdef")
    with pytest.raises(ConfigError, match="an entry script asks for none"):
        Entry({})


def test_a_wrong_setting_ends_the_start():
    with pytest.raises(ConfigError, match="'timout'"):
        Entry({"timout": 3})


def test_a_broken_plugin_ends_the_start(tmp_path, monkeypatch):
    info = tmp_path / "lame-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lame\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[trihook]\nlame = trihook_no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match="'lame' of distribution 'lame'"):
        Entry(NOBODY)


PROGRAM = f"""
import json, os
from flask import Flask, request
from trihook.host.entry import Entry

entry = Entry({NOBODY})

def ask():
    with Flask("server").test_request_context("/score", method="POST", data=b"[]"):
        answer = entry.run(request)
    runtime = type(entry._service.runtime).__name__
    print(json.dumps([answer.status_code, runtime]), flush=True)

ask()
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    ask()
    os._exit(0)
"""


@pytest.mark.parametrize(
    ("first", "runtime"),
    [("", "ThreadRuntime"), ("import gevent.monkey; gevent.monkey.patch_all()", "GeventRuntime")],
    ids=["threads", "greenlets"],
)
def test_it_works_before_and_after_a_fork(tmp_path, first, runtime):
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("TRIHOOK_")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", f"{first}\n{PROGRAM}"],
        capture_output=True, text=True, cwd=tmp_path, env=inherited,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [[503, runtime]] * 2
