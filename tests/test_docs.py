"""The documentation says what the code does: signatures, settings, names, commands, examples."""

import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import trihook
from click.testing import CliRunner
from documented import example
from scraped import Samples
from trihook import ConfigError, HookError, Item, ScoringError, errors, hookimpl, hookspecs
from trihook.cli.main import cli
from trihook.config import ModelSettings, Settings, tomllib  # which is tomli before Python 3.11
from trihook.hooks import HOOKS
from trihook.host.app import create_app
from trihook.host.statuses import status_of
from trihook.marks import Marks
from trihook.outcome import Outcome, Scored
from trihook.testing import Harness, make_model, make_request

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
FOLDERS = ("docs", "plugins", "examples")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(page for name in FOLDERS for page in (ROOT / name).rglob("*.md"))]
)

PLUGINS = (DOCS / "plugins.md").read_text()
HTTP = (DOCS / "http.md").read_text()
PRODUCTION = (DOCS / "production.md").read_text()
SETTINGS = (DOCS / "settings.md").read_text()
GUIDES = "\n".join(page.read_text() for page in [ROOT / "README.md", *DOCS.glob("*.md")])

FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

VECTOR = make_model(
    "vector", inputs=["x FP32 [3]"], outputs=["y FP32 [2]"], max_batch_size=4, version="1"
)


def linear(model, inputs):
    return {"y": inputs["x"] @ np.add.outer(np.arange(3), np.arange(2))}


def load(name):
    """Return an example as an imported module."""
    module = types.ModuleType(name)
    exec(compile(example(name), f"{name}.py", "exec"), vars(module))  # noqa: S102 - our own code
    return module


def table(text, heading):
    """Return the cells of the first table below a heading, without its head."""
    below = text[text.index(f"## {heading}\n") :]
    lines = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE).group().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_with_its_exact_signature(hook):
    signature = inspect.signature(getattr(hookspecs, hook))
    arguments = ", ".join(f"{name}: {p.annotation}" for name, p in signature.parameters.items())
    shown = f"{hook}({arguments}) -> {signature.return_annotation}"
    assert f"### {hook}\n\n```\n{shown}\n```\n" in PLUGINS


def test_every_setting_is_documented_with_its_default():
    documented = {}
    for name, default, meaning in table(SETTINGS, "All settings"):
        value = default.strip("`")
        known = None if value == "not set" else tomllib.loads(f"x = {value}")["x"]
        documented[name.strip("`")] = tuple(known) if isinstance(known, list) else known
        assert meaning
    settings = Settings.model_validate({})
    assert documented == {name: getattr(settings, name) for name in Settings.model_fields}


def test_every_setting_of_how_a_model_is_fed_is_documented():
    rows = {name.strip("`"): default for name, default, _ in table(SETTINGS, "How a model is fed")}
    own = ModelSettings.model_validate({})
    assert {*rows, "options"} == {*ModelSettings.model_fields}
    for name, default in rows.items():
        if getattr(own, name) is None:  # it is chosen, and the default says in words by what
            assert not default.startswith("`")
        else:
            assert tomllib.loads(f"x = {default.strip('`')}")["x"] == getattr(own, name)


def test_every_field_of_what_hooks_are_given_and_return_is_documented():
    section = PLUGINS[PLUGINS.index("## Fields\n") : PLUGINS.index("## State\n")]
    shown = re.findall(r"`(\w+)\.(\w+)`(?=[^|\n]*\|)", section)
    values = [kind for kind in vars(trihook).values() if dataclasses.is_dataclass(kind)]
    kinds = [*values, Outcome, Scored]
    assert len(shown) == len(set(shown))
    assert set(shown) == {
        (k.__name__, field.name) for k in kinds for field in dataclasses.fields(k)
    }


def test_the_marks_of_a_hook_are_documented():
    quick = PLUGINS[PLUGINS.index("### Quick hooks\n") :]
    shown = re.findall(r"^- `@hookimpl\((\w+)=", quick[: quick.index("\n## ")], re.MULTILINE)
    assert set(shown) == {field.name for field in dataclasses.fields(Marks)}
    parameters = inspect.signature(hookimpl.__call__).parameters
    assert set(shown) <= set(parameters)


def test_the_example_of_settings_is_valid():
    [shown] = re.findall(r"```toml\n(.*?)```", SETTINGS, re.DOTALL)
    settings = Settings.model_validate(tomllib.loads(shown))
    assert settings.options_of("efficientnet") == {
        "max_pixels": 4000000,
        "scaling": "UNIT",
        "mean": [0.485, 0.456, 0.406],
    }


def test_the_example_of_an_entry_script_is_what_its_command_writes(tmp_path, monkeypatch):
    page = (DOCS / "entry-scripts.md").read_text()
    [line] = re.findall(r"^\$ trihook (generate entry-script .*)$", page, re.MULTILINE)
    [shown] = re.findall(r"```python\n(SETTINGS = .*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, line.split()).exit_code == 0
    assert shown in (tmp_path / "score.py").read_text()


def test_every_public_name_is_documented():
    cells = [row[0] + row[1] for row in table(PLUGINS, "What `trihook` exports")]
    named = set(re.findall(r"`(\w+)`", " ".join(cells)))
    assert named == set(trihook.__all__)


def test_every_command_is_documented():
    result = CliRunner().invoke(cli, ["--help"])
    commands = re.findall(r"^  (\w+)  ", result.output.partition("Commands:")[2], re.MULTILINE)
    assert len(commands) > 5
    assert [name for name in commands if f"trihook {name}" not in GUIDES] == []


def test_every_error_of_scoring_is_documented_with_its_status_and_code():
    documented = {(status, code, error) for status, code, error, _ in table(HTTP, "Errors")}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert documented == {
        (str(status_of(kind("x"))), f"`{kind.code}`", f"`{kind.__name__}`")
        for kind in kinds
        if issubclass(kind, ScoringError)
    }


def test_every_route_is_documented():
    settings = Settings(metrics=True)
    app = create_app(Harness(models=[VECTOR], infer=linear, settings=settings).service)
    routes = {
        f"`{method} {rule.rule}`"
        for rule in app.url_map.iter_rules()
        for method in rule.methods & {"GET", "POST"}
        if rule.endpoint != "static"
    }
    assert {row[0] for row in table(HTTP, "Routes")} == routes


def test_every_metric_is_documented_with_its_labels():
    documented = {
        name.strip("`"): set(re.findall(r"`(\w+)`", labels))
        for name, labels, _ in table(PRODUCTION, "Metrics")
    }
    settings = Settings(metrics=True)
    app = create_app(Harness(models=[VECTOR], infer=linear, settings=settings).service)
    client = app.test_client()
    for body in ([1, 2, 3], [1, 2]):
        client.post("/score/vector", json=body)
    assert documented == {
        name.removesuffix("_count"): {label for label, _ in labels}
        for name, labels in Samples(client.get("/metrics").text)
        if not name.endswith(("_sum", "_bucket", "_created"))
    }


def test_the_replies_of_the_curl_lines_are_those_of_the_host():
    app = create_app(Harness(models=[VECTOR], infer=linear).service)
    shown = re.findall(r"localhost:5001(/score\S*) .* -d '(.*)'\n({.*)\n", HTTP)
    assert len(shown) == 2
    for path, body, reply in shown:
        answer = app.test_client().post(path, data=body, content_type="application/json")
        assert answer.get_data(as_text=True) == reply


def test_the_example_of_an_error_is_what_the_host_says():
    app = create_app(Harness(models=[VECTOR], infer=linear).service)
    [shown] = re.findall(r'```json\n({"message".*?)```', HTTP, re.DOTALL)
    shown_id = re.search(r'"request_id": "(.*)"', shown).group(1)
    answer = app.test_client().post("/score/none", json=[1], headers={"X-Request-Id": shown_id})
    assert answer.json == json.loads(shown)


def test_the_example_plugin_passes_its_own_tests(tmp_path):
    (tmp_path / "trihook_plaintext.py").write_text(example("module"))
    (tmp_path / "test_plaintext.py").write_text(example("test"))
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
    )
    assert "3 passed" in ended.stdout, ended.stdout
    assert ended.returncode == 0


def test_the_example_plugin_takes_its_own_example_and_leaves_other_models_alone():
    plugin = load("module")
    mood = make_model("mood", inputs=["text BYTES [1]"], outputs=["score FP32 [1]"])
    item = plugin.example(mood)
    harness = Harness(plugin, models=[mood], infer=lambda model, inputs: {"score": [0.5]})
    assert harness.reply(item) == {"characters": 6, "score": 0.5}
    assert plugin.example(VECTOR) is None
    assert plugin.preprocess(item, VECTOR) is None
    assert harness.reply({"text": ["tensors"]}) == {"outputs": {"score": [0.5]}}


def test_the_example_of_a_model_is_one_that_the_example_plugin_takes(monkeypatch):
    fake = types.SimpleNamespace(
        get_input_tensor_by_name=lambda request, name: request[name],
        Tensor=lambda name, array: (name, array),
        InferenceResponse=dict,
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", fake)
    model = load("model").TritonPythonModel()
    texts = types.SimpleNamespace(as_numpy=lambda: np.array([[b"so good"], [b""]], object))
    [reply] = model.execute([{"text": texts}])
    assert reply["score"].tolist() == [[7.0], [0.0]]
    assert 'input { name: "text" data_type: TYPE_STRING dims: 1 }' in PLUGINS
    mood = make_model("mood", inputs=["text BYTES [1]"], outputs=["score FP32 [1]"])
    harness = Harness(load("module"), models=[mood], infer=lambda model, inputs: {"score": [7.0]})
    shown = json.dumps(harness.reply(Item(b"so good", "text/plain")))
    assert f"note.txt  mood/1  5.2  {shown}\n" in PLUGINS


def test_the_example_distribution_names_the_example_plugin():
    project = tomllib.loads(example("project"))
    assert project["project"]["entry-points"]["trihook"] == {"plaintext": "trihook_plaintext"}
    assert project["tool"]["setuptools"]["py-modules"] == ["trihook_plaintext"]


@pytest.mark.parametrize("digits", [1, "1"], ids=["from settings", "from config.pbtxt"])
def test_the_example_of_options_rounds_as_the_option_says(digits):
    model = make_model(inputs=["x FP32 [2]"], outputs=["y FP32 [2]"], options={"digits": digits})
    harness = Harness(load("options"), models=[model], infer=lambda model, i: {"y": i["x"]})
    assert harness.reply([0.123, 0.456]) == {"y": pytest.approx([0.1, 0.5])}


def test_the_example_of_options_refuses_what_is_no_number():
    model = make_model(inputs=["x FP32 [1]"], outputs=["y FP32 [1]"], options={"digits": "few"})
    harness = Harness(load("options"), models=[model], infer=lambda model, i: {"y": i["x"]})
    with pytest.raises(HookError, match="option digits is 'few', not a number") as caught:
        harness.reply([0.5])
    assert isinstance(caught.value.__cause__, ConfigError)


def test_the_example_of_a_wrapper_changes_the_answer_of_another_plugin():
    harness = Harness(load("wrapper"), models=[VECTOR], infer=linear)
    plain = {"outputs": {"y": [8.0, 14.0]}}
    assert harness.reply([1, 2, 3]) == plain
    assert harness.reply([1, 2, 3], query={"envelope": ""}) == {"request": "test", **plain}
    [one] = harness.score(make_request([1, 2, 3], query={"envelope": ""})).scored
    assert one.postprocessed_by == "wrapper"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_point_to_what_exists(page):
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = (page.parent / target) if target else page
        assert path.exists(), link
        if anchor:
            headings = HEADING.findall(FENCED.sub("", path.read_text()))
            assert anchor in [
                re.sub(r"[^\w\- ]", "", h).lower().replace(" ", "-") for h in headings
            ]
