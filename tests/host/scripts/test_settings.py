"""Flags come before Azure's variables, and these before the JSON file."""

import json
from pathlib import Path

import pytest
from trihook.errors import ConfigError
from trihook.host.scripts.settings import ScriptFlags, ScriptSettings, read_script_settings


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_script_alone_gets_the_defaults(here):
    settings = read_script_settings(ScriptFlags(Path("a.py")), {})
    assert settings == ScriptSettings(here / "a.py", here)
    assert (settings.timeout_ms, settings.worker_timeout) == (3_600_000, 300)


def test_every_variable_is_read(here):
    settings = read_script_settings(
        ScriptFlags(Path("a.py")),
        {
            "AML_APP_ROOT": "/app",
            "AZUREML_SOURCE_DIRECTORY": "source",
            "AZUREML_MODEL_DIR": "models",
            "SCORING_TIMEOUT_MS": "0",
            "AML_CORS_ORIGINS": "a, b,",
            "SERVICE_NAME": "n",
            "SERVICE_VERSION": "v",
            "SERVICE_PATH_PREFIX": "p",
            "WORKER_COUNT": "3",
            "WORKER_TIMEOUT": "7",
            "WORKER_PRELOAD": "TRUE",
            "SEPERATE_HEALTH_ENDPOINT": "true",
            "SERVER_VERSION_LOG_RESPONSE_ENABLED": "false",
        },
    )
    assert settings == ScriptSettings(
        entry_script=here / "a.py",
        app_root=Path("/app"),
        source_directory="source",
        model_dir="models",
        health_port=5000,
        timeout_ms=0,
        cors_origins=("a", "b"),
        service_name="n",
        service_version="v",
        path_prefix="p",
        workers=3,
        worker_timeout=7,
        preload=True,
        shows_version=False,
    )


def test_flags_come_first(here):
    flags = ScriptFlags(Path("a.py"), "flag", 6001, "https://flag", workers=2)
    environment = {"AZUREML_MODEL_DIR": "e", "AML_CORS_ORIGINS": "e", "WORKER_COUNT": "9"}
    settings = read_script_settings(flags, {**environment, "AZUREML_ENTRY_SCRIPT": "e.py"})
    assert settings.entry_script == here / "a.py"
    assert (settings.model_dir, settings.cors_origins) == ("flag", ("https://flag",))
    assert (settings.health_port, settings.workers) == (6001, 2)


@pytest.mark.parametrize("place", ["named", "variable", "app root", "beside the script"])
def test_the_file_comes_last_wherever_it_is(here, place):
    (here / "scripts").mkdir()
    content = json.dumps({"SERVICE_NAME": "file", "SERVICE_VERSION": "8"})
    folder = here / "scripts" if place == "beside the script" else here
    name = "config.json" if place in {"app root", "beside the script"} else "other.json"
    (folder / name).write_text(content)
    flags = ScriptFlags(
        Path("scripts/a.py"), config_file=Path("other.json") if place == "named" else None
    )
    environment = {"AZUREML_CONFIG_FILE": "other.json"} if place == "variable" else {}
    settings = read_script_settings(flags, {**environment, "SERVICE_NAME": "outside"})
    assert (settings.service_name, settings.service_version) == ("outside", "8")


def test_a_file_may_name_the_script_below_the_root(here):
    (here / "c.json").write_text('{"AZUREML_ENTRY_SCRIPT": "in/a.py"}')
    flags = ScriptFlags(config_file=Path("c.json"))
    settings = read_script_settings(flags, {"AML_APP_ROOT": str(here)})
    assert settings.entry_script == here / "in" / "a.py"


@pytest.mark.parametrize(
    ("content", "environment", "said"),
    [
        ("{", {}, "c.json is not JSON"),
        ("[]", {}, "c.json holds no JSON object"),
        ("", {}, "c.json does not exist or is empty"),
        ("{}", {}, "c.json names no AZUREML_ENTRY_SCRIPT.*--entry-script"),
        ('{"AZUREML_ENTRY_SCRIPT": "a", "WORKER_COUNT": -1}', {}, "WORKER_COUNT is '-1'"),
        ('{"AZUREML_ENTRY_SCRIPT": "a"}', {"SCORING_TIMEOUT_MS": "1s"}, "SCORING_TIMEOUT_MS is"),
    ],
)
def test_what_is_wrong_is_named(here, content, environment, said):
    (here / "c.json").write_text(content)
    with pytest.raises(ConfigError, match=said):
        read_script_settings(ScriptFlags(config_file=Path("c.json")), environment)
