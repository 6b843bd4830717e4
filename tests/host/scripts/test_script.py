"""Scripts are loaded with the names and paths that they are promised, or refused by name."""

import sys

import pytest
from flask import Flask, request
from trihook.host.scripts.app import create_script_app
from trihook.host.scripts.script import MODULE, RunError, RunTimeoutError, ScriptError, load_script
from trihook.host.scripts.settings import ScriptSettings

INIT = "def init(): pass\n"
PACKAGES = ("azureml.contrib.services", "azureml_inference_server_http.api")
NAMES = [f"{package}.{name}" for package in PACKAGES for name in ("aml_request", "aml_response")]
SHADOWED = (MODULE, "click", "colorsys", *NAMES)


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in SHADOWED:  # put back afterwards
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.chdir(tmp_path)

    def load_code(code, **settings):
        path = tmp_path / "score.py"
        path.write_text(code)
        return load_script(ScriptSettings(path, tmp_path, **settings))

    return load_code


def run(script, data=b"text", method="POST"):
    with Flask("server").test_request_context("/score?a=1", method=method, data=data):
        return script.run(request)[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_azures_names_are_there_without_azures_packages(load, package):
    script = load(
        f"from {package}.aml_request import AMLRequest, rawhttp\n"
        f"from {package}.aml_response import AMLResponse\n{INIT}"
        "@rawhttp\ndef run(request): return AMLResponse(request.method, 201)"
    )
    answer = run(script)
    assert (answer.status_code, answer.data) == (201, b"POST")


def test_the_scripts_modules_come_before_installed_ones_and_behind_pythons_own(load, tmp_path):
    (tmp_path / "click.py").write_text("WHO = 'mine'")
    (tmp_path / "colorsys.py").write_text("WHO = 'mine'")
    script = load(
        "import click, colorsys\n" + INIT + "def run(data):\n"
        "    return click.WHO, hasattr(colorsys, 'WHO')"
    )
    assert run(script) == ("mine", False)


def test_its_classes_can_be_found_by_its_modules_name(load):
    script = load(
        "from __future__ import annotations\nimport pickle\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Row:\n    a: int\n" + INIT + "def run(data):\n"
        "    return pickle.loads(pickle.dumps(Row(3))).a"
    )
    assert run(script) == 3
    assert MODULE in sys.modules


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def run(data): pass", "has no function init"),
        (INIT, "has no function run"),
        ("import nothing_at_all", "raised ModuleNotFoundError: No module named"),
        ("raise SystemExit(0)", "importing entry script .* raised SystemExit: 0"),
        ("def init(): 1 / 0\ndef run(data): pass", "init.* raised ZeroDivisionError"),
        (INIT + "run = 3", "run of entry script .* is not a function"),
        (INIT + "def run(): pass", "has no parameter for the data"),
        (INIT + "def run(request_headers): pass", "has no parameter for the data"),
        (INIT + "def run(*data): pass", r"\*args"),
        (INIT + "def run(data, /): pass", "positional-only"),
    ],
)
def test_what_is_wrong_with_a_script_is_said(load, code, said):
    with pytest.raises(ScriptError, match=rf"(?s){said}"):
        load(code)


def test_a_script_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ScriptError, match=r"nowhere.py does not exist"):
        load_script(ScriptSettings(tmp_path / "nowhere.py", tmp_path))


def test_what_run_raises_is_the_cause_of_its_error(load):
    script = load(INIT + "def run(data): raise ValueError(data)")
    with pytest.raises(RunError) as caught:
        run(script)
    assert isinstance(caught.value.__cause__, ValueError)


def test_run_has_a_time_limit(load):
    script = load("import time\n" + INIT + "def run(data): time.sleep(9)", timeout_ms=30)
    with pytest.raises(RunTimeoutError):
        run(script)


def test_a_swagger_file_that_is_none_is_named(load, tmp_path):
    script = load(INIT + "def run(data): pass")
    (tmp_path / "swagger3.json").write_text("{")
    with pytest.raises(ScriptError, match=r"swagger3.json is not JSON"):
        create_script_app(script, ScriptSettings(tmp_path / "score.py", tmp_path))
