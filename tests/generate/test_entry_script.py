"""Generated entry scripts are readable, the same each time, and safe from being overwritten."""

import ast
import math
import re

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from trihook.cli.main import cli
from trihook.config import Settings, settings_of_script
from trihook.errors import ConfigError
from trihook.generate.entry_script import (
    format_literal,
    is_as_generated,
    render_entry_script,
    write_entry_script,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


def settings_in(text):
    """Return the settings that a script's text holds."""
    [value] = [
        node.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and node.targets[0].id == "SETTINGS"
    ]
    return ast.literal_eval(value)


def generate(folder, *arguments):
    return CliRunner().invoke(
        cli, ["generate", "entry-script", "--output", str(folder / "score.py"), *arguments]
    )


@settings(deadline=None)
@given(VALUES)
def test_every_value_is_written_as_a_literal_of_itself(value):
    assert ast.literal_eval(format_literal(value)) == value


def test_a_script_holds_the_settings_that_it_was_made_of():
    settings = Settings.model_validate(
        {
            "triton_url": "triton:8000",
            "default_model": "a",
            "load_plugins": ["bidaf"],
            "timeout": 3.5,
            "options": {"labels": ["it's", 'a "b"']},
            "models": {"a.b": {"options": {"top": 3, "deep": {"x": [1, {"y": True}]}}}},
        }
    )
    assert settings_of_script(settings_in(render_entry_script(settings)), {}) == settings


def test_what_is_infinite_stays_so_however_deep():
    endless = {"a": math.inf, "b": [1, {"c": -math.inf}]}
    text = render_entry_script(Settings(timeout=math.inf, options=endless))
    [written] = re.findall(r"SETTINGS = (.*?^\})", text, re.MULTILINE | re.DOTALL)
    settings = settings_of_script(eval(written), {})  # noqa: S307 - it is ours
    assert (settings.options, settings.timeout) == (endless, math.inf)


def test_what_the_server_decides_is_not_written():
    text = render_entry_script(Settings(host="0.0.0.0", port=1, workers=4, graceful_timeout=1))
    assert settings_in(text) == {"triton_url": "localhost:8000"}


def test_the_environment_overrides_the_script_and_the_folder_has_no_say(tmp_path, monkeypatch):
    (tmp_path / "trihook.toml").write_text("timeout = 7")
    monkeypatch.chdir(tmp_path)
    script = {"triton_url": "a:1", "default_model": "x"}
    settings = settings_of_script(script, {"TRIHOOK_TRITON_URL": "b:2"})
    assert (settings.triton_url, settings.default_model, settings.timeout) == ("b:2", "x", 30)


def test_a_wrong_setting_in_a_script_is_named():
    with pytest.raises(ConfigError, match=r"'tritn_url' in the entry script .*triton_url"):
        settings_of_script({"tritn_url": "a:1"}, {})


def test_writing_twice_changes_nothing(tmp_path):
    text = render_entry_script(Settings())
    assert write_entry_script(text, tmp_path / "score.py")
    assert not write_entry_script(text, tmp_path / "score.py")
    assert (tmp_path / "score.py").read_text() == text
    assert [file.name for file in tmp_path.iterdir()] == ["score.py"]


def test_an_unedited_script_makes_way_for_one_with_other_settings(tmp_path):
    write_entry_script(render_entry_script(Settings()), tmp_path / "score.py")
    other = render_entry_script(Settings(timeout=1))
    assert write_entry_script(other, tmp_path / "score.py")
    assert (tmp_path / "score.py").read_text() == other


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("localhost", "elsewhere"),
        lambda text: text + "\n",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.rpartition("# as generated")[0],
        lambda text: "",
        lambda text: "\udcff".join(text.split("Score", 1)),
    ],
    ids=["a setting", "a last line", "line ends", "no seal", "empty", "not UTF-8"],
)
def test_an_edited_script_is_overwritten_by_force_alone(tmp_path, edit):
    path = tmp_path / "score.py"
    text = render_entry_script(Settings())
    edited = edit(text).encode("utf-8", "surrogateescape")
    path.write_bytes(edited)
    assert not is_as_generated(edited)
    with pytest.raises(ConfigError, match=r"score.py is edited.*--force"):
        write_entry_script(text, path)
    assert path.read_bytes() == edited
    assert write_entry_script(text, path, force=True)
    assert path.read_text() == text


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere/score.py cannot be written: No such file"):
        write_entry_script("", tmp_path / "nowhere" / "score.py")


def test_the_command_writes_models_plugins_and_options(tmp_path):
    done = generate(
        tmp_path,
        *("--model", "bidaf_onnx", "--model", "texts", "--plugin", "nltk"),
        *("--option", "bidaf_onnx.top=3", "--option", "a.b.c=three", "--triton-url", "t:1"),
    )
    assert done.exit_code == 0, done.output
    assert settings_in((tmp_path / "score.py").read_text()) == {
        "triton_url": "t:1",
        "default_model": "bidaf_onnx",
        "load_plugins": ["nltk"],
        "models": {
            "texts": {},
            "bidaf_onnx": {"options": {"top": 3}},
            "a.b": {"options": {"c": "three"}},
        },
    }


def test_the_command_line_adds_to_the_settings_file_and_the_environment_does_not(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("TRIHOOK_TIMEOUT", "9")
    config = tmp_path / "trihook.toml"
    config.write_text('triton_url = "f:1"\n[models.a.options]\nx = 1\ny = 2\n')
    done = generate(tmp_path, "--config", str(config), "--option", "a.y=3")
    assert done.exit_code == 0, done.output
    assert settings_in((tmp_path / "score.py").read_text()) == {
        "triton_url": "f:1",
        "models": {"a": {"options": {"x": 1, "y": 3}}},
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--option", "top=3"), "'top=3' is not MODEL.KEY=VALUE"),
        (("--option", "a.top"), "'a.top' is not MODEL.KEY=VALUE"),
        (("--plugin", "nothing"), "'nothing' is not installed; installed are: "),
    ],
)
def test_the_command_refuses_what_cannot_be_meant(tmp_path, arguments, said):
    done = generate(tmp_path, *arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
    assert not (tmp_path / "score.py").exists()


def test_a_plugin_to_leave_out_that_is_not_installed_is_a_warning(tmp_path):
    done = generate(tmp_path, "-p", "no:nothing")
    assert done.exit_code == 0
    assert "Warning: plugin 'nothing' is not installed; installed are: " in done.output
    assert settings_in((tmp_path / "score.py").read_text())["block_plugins"] == ["nothing"]
