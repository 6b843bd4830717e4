"""The commands, against a real Triton and a real host."""

import errno
import json
import signal
import subprocess
import sys

import pytest
from servers import (
    add_plugin,
    control,
    environment,
    free_port,
    photograph,
    running_host,
    wait_until,
)
from trihook.cli.main import cli, main

MISFIT = """
import numpy as np
from trihook import Item, hookimpl

@hookimpl(tryfirst=True)
def preprocess(item, model):
    if model.name == "vector":
        return {"x": np.zeros((2, 2), np.float32)}

@hookimpl(tryfirst=True)
def example(model):
    if model.name == "vector":
        return Item("anything")
"""


def trihook(*arguments, plugins=None, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "trihook", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=cwd,
        env=environment(plugins),
    )


def test_a_host_with_keys_scores_for_those_who_hold_one(triton, files):
    keys = 'keys = ["0123456789abcdef", "fedcba9876543210"]\n'
    with running_host(triton.url, settings=keys) as host:
        url = f"http://127.0.0.1:{host.port}/score/efficientnet_lite0"
        refused = trihook("score", files["cat"], "--url", url)
        assert refused.returncode == 1
        assert "expected one of the host's keys" in refused.stdout
        assert host.post("/score/vector", bytes(1 << 22), Connection="close").status == 401
        scored = trihook("score", files["cat"], "--url", url, "--key", "fedcba9876543210")
        assert (scored.returncode, "Egyptian cat" in scored.stdout) == (0, True)


@pytest.fixture
def files(tmp_path):
    cat = tmp_path / "cat.png"
    cat.write_bytes(photograph("chelsea.png"))
    question = tmp_path / "question.json"
    question.write_text(
        json.dumps({"context": "Ada lives in Rome.", "query": "Who lives in Rome?"})
    )
    vectors = tmp_path / "vectors.json"
    vectors.write_text(json.dumps({"instances": [{"x": [1, 2, 3]}, {"x": "text"}]}))
    broken = tmp_path / "broken.png"
    broken.write_bytes(photograph("chelsea.png")[:9000])
    return {"cat": cat, "question": question, "vectors": vectors, "broken": broken}


def test_models_lists_what_is_loaded(triton):
    shown = trihook("models", "--triton-url", triton.url)
    assert shown.returncode == 0, shown.stderr
    [line] = [line for line in shown.stdout.splitlines() if line.startswith("vector ")]
    assert line.split() == ["vector", "1", "4", "x", "FP32", "[3]", "y", "FP32", "[2]"]


def test_models_as_json_gives_every_field(triton):
    models = json.loads(trihook("models", "--json", "--triton-url", triton.url).stdout)
    [grey] = [model for model in models if model["name"] == "grey"]
    assert grey["max_batch_size"] == 4
    [picture] = grey["inputs"]
    assert (picture["datatype"], picture["shape"]) == ("UINT8", [96, 128, 1])


def test_models_says_that_triton_is_not_there():
    shown = trihook("models", "--triton-url", f"localhost:{free_port()}")
    assert shown.returncode == 1
    said, hint = shown.stderr.splitlines()
    assert said == "Error: Triton cannot be reached"
    assert "--triton-url" in hint


def test_plugins_lists_the_installed_ones():
    shown = trihook("plugins", "--json")
    plugins = {plugin["name"]: plugin for plugin in json.loads(shown.stdout)}
    assert {"bidaf", "densenet", "nltk", "pillow"} <= set(plugins)
    assert plugins["pillow"]["distribution"] == "trihook-pillow"
    assert plugins["pillow"]["hooks"] == ["preprocess", "example"]
    assert plugins["pillow"]["state"] == "loaded"


def test_check_finds_that_all_fits(triton):
    shown = trihook("check", "--triton-url", triton.url)
    assert shown.returncode == 0, shown.stdout
    lines = shown.stdout.splitlines()
    assert all(line.startswith("ok    ") for line in lines)
    assert any("efficientnet_lite0/1 takes what plugin pillow makes" in line for line in lines)
    assert any("bidaf_onnx/1 takes what plugin nltk makes" in line for line in lines)
    assert any("vector/1 takes JSON tensors" in line for line in lines)


def test_check_finds_a_plugin_whose_tensors_do_not_fit(triton, tmp_path):
    add_plugin(tmp_path, "trihook-misfit", "misfit", MISFIT)
    shown = trihook("check", "--triton-url", triton.url, plugins=tmp_path)
    assert shown.returncode == 1
    [line] = [line for line in shown.stdout.splitlines() if line.startswith("FAIL")]
    assert "model vector/1: plugin 'misfit': input x FP32 [3]" in line
    assert "shape [2, 2]" in line


EXAMPLES = """
from trihook import Item, PayloadError, hookimpl

@hookimpl(tryfirst=True, models=lambda model: model.name == "vector")
def preprocess(item):
    if item.data == "refused":
        raise PayloadError("not today")
    if item.data == "broken":
        return {"x": item.data.missing}
    if item.data == "mine":
        return {"x": [1, 2, 3]}

@hookimpl(models=lambda model: model.name == "vector")
def example():
    return Item("DATA")
"""


def test_check_looks_at_the_example_of_each_plugin(triton, tmp_path):
    for name in ("refused", "broken", "mine", "[1, 2, 3]"):
        data = name if name[0] == "[" else f'"{name}"'
        module = "core_s" if name[0] == "[" else name
        add_plugin(tmp_path, f"trihook-{module}", module, EXAMPLES.replace('"DATA"', data))
    shown = trihook("check", "--triton-url", triton.url, plugins=tmp_path)
    lines = [line for line in shown.stdout.splitlines() if "model vector/1" in line]
    assert shown.returncode == 1
    said = {line[:6].strip(): [] for line in lines}
    for line in lines:
        said[line[:6].strip()].append(line[6:])
    assert (
        "model vector/1 takes plugin core_s's example as JSON tensors for x FP32 [3]" in said["ok"]
    )
    assert any("makes for x FP32 [3]" in line or "of plugin mine's" in line for line in said["ok"])
    broken, refused = sorted(said["FAIL"], key=len, reverse=True)
    assert ": not today" in refused
    assert "raised AttributeError in preprocess, because AttributeError: 'str' object" in broken
    assert ".py:" in broken


def test_check_finds_a_configured_model_that_is_not_there(triton, tmp_path):
    (tmp_path / "trihook.toml").write_text("[models.absent]\n[models.vector]\n")
    shown = trihook("check", "--triton-url", triton.url, cwd=tmp_path)
    assert shown.returncode == 1
    assert "FAIL  model absent is configured and not loaded" in shown.stdout
    assert "ok    model vector/1" in shown.stdout
    assert "densenet_onnx" not in shown.stdout


def test_a_plugin_that_is_not_installed_is_said_where_it_is_named(triton, tmp_path):
    said = "plugin 'pilow' is not installed; installed are: bidaf, densenet, nltk, pillow"
    listed = trihook("plugins", "-p", "no:pilow")
    assert (listed.returncode, listed.stderr) == (0, f"Warning: {said}\n")
    checked = trihook("check", "-p", "no:pilow", "--triton-url", triton.url)
    assert (checked.returncode, checked.stderr) == (0, f"Warning: {said}\n")
    with running_host(triton.url, "-p", "no:pilow") as host:
        assert host.log.count(f"[WARNING] {said}") == 1
    (tmp_path / "trihook.toml").write_text("load_plugins = ['pilow', 'nltk']\n")
    refused = trihook("serve", "--port", free_port(), cwd=tmp_path)
    assert refused.returncode == 2
    assert f"[ERROR] {said}\n" in refused.stderr
    assert f"FAIL  {said}\n" in trihook("check", cwd=tmp_path).stdout


def test_check_says_that_triton_is_not_there():
    url = f"localhost:{free_port()}"
    shown = trihook("check", "--triton-url", url)
    assert shown.returncode == 1
    assert f"FAIL  Triton at {url}: Triton cannot be reached" in shown.stdout


def test_explain_says_who_answered_what_and_why(triton, files):
    shown = trihook(
        "explain", files["cat"], "--model", "efficientnet_lite0", "--triton-url", triton.url
    )
    assert shown.returncode == 0, shown.stderr
    text = shown.stdout
    assert "core: efficientnet_lite0/1, because the request names it" in text
    assert "pillow: images float32 [3, 224, 224]" in text
    assert "probabilities float32 [1000]" in text
    assert 'densenet: {"label":"Egyptian cat"' in text
    assert all(f"{stage} " in text for stage in ("preprocess", "infer", "postprocess"))


ROUTE = """
from trihook import Reply, hookimpl

@hookimpl
def select_model(request):
    return request.headers.get("x-arm")

@hookimpl
def postprocess(request):
    return Reply(b"\\x89PNG", media_type="image/png") if "x-arm" in request.headers else None
"""


def test_headers_can_be_sent_to_explain_and_score(triton, tmp_path):
    add_plugin(tmp_path, "trihook-route", "route", ROUTE)
    file = tmp_path / "item.json"
    file.write_text("[1, 2, 3]")
    arguments = ["-H", "X-Arm: vector", "--triton-url", triton.url]
    shown = trihook("explain", file, *arguments, plugins=tmp_path)
    assert "route: vector/1" in shown.stdout, shown.stderr
    assert "route: 4 bytes" in shown.stdout
    with running_host(triton.url, plugins=tmp_path) as host:
        url = f"http://127.0.0.1:{host.port}/score"
        scored = trihook("score", file, "--header", "X-Arm:vector", "--url", url, "--json")
    assert json.loads(scored.stdout)["reply"] == "4 bytes of image/png"


def test_explain_shows_each_item_and_which_failed(triton, files):
    shown = trihook(
        "explain", files["vectors"], "--model", "vector", "--json", "--triton-url", triton.url
    )
    assert shown.returncode == 1
    good, bad = json.loads(shown.stdout)["items"]
    assert (good["preprocessed_by"], good["error"]) == ("core", None)
    assert good["inputs"] == {"x": {"dtype": "float32", "shape": [3]}}
    assert good["reply"] == {"outputs": {"y": [8.0, 14.0]}}
    assert bad["reply"] is None
    assert "does not take what came" in bad["error"]


def test_score_prints_a_table_and_fails_if_a_file_did(host, files):
    url = f"http://127.0.0.1:{host.port}/score?top=1"
    shown = trihook(
        "score", files["cat"], files["broken"], "--url", url, "--model", "efficientnet_lite0"
    )
    assert shown.returncode == 1
    head, cat, broken = shown.stdout.splitlines()
    assert head.split() == ["FILE", "MODEL", "MS", "REPLY"]
    assert "efficientnet_lite0/1" in cat
    assert '"label": "Egyptian cat"' in cat
    assert "error: " in broken


def test_score_prints_a_line_of_json_for_each_file(host, files):
    url = f"127.0.0.1:{host.port}/score/bidaf_onnx"
    shown = trihook("score", files["question"], "--url", url, "--json")
    assert shown.returncode == 0, shown.stderr
    [line] = shown.stdout.splitlines()
    reply = json.loads(line)
    assert reply["model"] == "bidaf_onnx/1"
    assert reply["reply"]["answer"] == "Ada"


def test_score_fails_where_an_item_of_a_file_did(host, files):
    url = f"127.0.0.1:{host.port}/score/vector"
    shown = trihook("score", files["vectors"], "--url", url, "--json")
    assert shown.returncode == 1
    good, bad = json.loads(shown.stdout)["reply"]["predictions"]
    assert (good["outputs"], "error" in bad) == ({"y": [8.0, 14.0]}, True)


def test_score_says_that_no_host_listens(files):
    shown = trihook("score", files["cat"], "--url", f"http://127.0.0.1:{free_port()}/score")
    assert shown.returncode == 1
    assert "nothing listens at" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--prot", "1"], "No such option '--prot'"),
        (["serve", "--port", "70000"], "70000 is not in the range"),
        (["serve", "-p", "pillow"], "'pillow' is not no:NAME"),
        (["score"], "Missing argument 'FILE...'"),
        (["score", __file__, "--header", "X-Arm"], "'X-Arm' is not NAME:VALUE"),
        (["score", __file__, "-H", "X Arm: b"], "'X Arm: b' is no header that can be sent"),
        (["score", "no-such-file"], "does not exist"),
        (["score", __file__, "--url", "ftp://x"], "is no http or https address"),
        (["score", __file__, "--url", "http://a..b"], "is no http or https address"),
        (["score", __file__, "--timeout", "nan"], "'nan' is not in the range 0<x<=86400"),
        (["score", __file__, "--timeout", "inf"], "inf is not in the range 0<x<=86400"),
        (["deploy", "x", "--model", "x", "--timeout", "nan"], "'nan' is not in the range"),
        (["serve", "--model-dir", "."], "--model-dir needs --entry-script"),
        (["serve", "--health-port", "1"], "--health-port needs --entry-script"),
        (
            ["deploy", "x", "--model", "x", "--source-directory", "."],
            "--source-directory needs --entry-script",
        ),
        (["score", __file__, "--key", "ключ"], "Invalid value for '--key': the key holds"),
        (
            ["generate", "azureml", "--name=A", "--model=a:1", f"--entry-script={__file__}"],
            "name 'A': Azure wants",
        ),
        (
            ["generate", "azureml", "--name=abc", "--model=a", f"--entry-script={__file__}"],
            "model 'a': expected NAME:VERSION",
        ),
        (["nonsense"], "No such command 'nonsense'"),
        (["serve", "--config", "no-such.toml"], "settings file no-such.toml does not exist"),
    ],
)
def test_a_usage_error_ends_with_status_2_and_says_what_is_wrong(arguments, said):
    shown = trihook(*arguments)
    assert shown.returncode == 2
    assert said in shown.stderr


def test_an_unknown_setting_is_an_error_that_names_the_nearest(tmp_path):
    (tmp_path / "trihook.toml").write_text("triton_ulr = 'localhost:1'\n")
    shown = trihook("serve", cwd=tmp_path)
    assert shown.returncode == 2
    assert "'triton_ulr' in trihook.toml is no setting; did you mean triton_url?" in shown.stderr


def test_the_host_says_that_its_port_is_taken(host):
    shown = trihook("serve", "--port", host.port)
    assert shown.returncode == 2
    assert shown.stderr.splitlines()[-1] == (
        f"Error: port {host.port} of 127.0.0.1 is taken: choose another with --port"
    )


def test_an_unloaded_model_is_listed_no_more(triton):
    control(triton.url, "unload", "fixed")
    try:

        def is_gone():
            shown = trihook("models", "--triton-url", triton.url)
            is_listed = ["\nvector " in shown.stdout, "\nfixed " in shown.stdout]
            return shown.returncode == 0 and is_listed == [True, False]

        wait_until(is_gone)
    finally:
        control(triton.url, "load", "fixed")


def test_explain_says_what_a_plugin_raised_and_where_and_which_plugin_is_broken(triton, tmp_path):
    code = "from trihook import hookimpl\n\n@hookimpl\ndef preprocess():\n    return {}['absent']\n"
    add_plugin(tmp_path, "trihook-raising", "raising", code)
    add_plugin(tmp_path, "trihook-empty", "empty", "")
    file = tmp_path / "item.json"
    file.write_text("[1, 2, 3]")
    shown = trihook(
        "explain", file, "--model", "vector", "--triton-url", triton.url, plugins=tmp_path
    )
    assert shown.returncode == 1
    assert "plugin 'raising' raised KeyError in preprocess" in shown.stdout
    assert "because       KeyError: 'absent', at " in shown.stdout
    assert "trihook_raising_plugin.py:5" in shown.stdout
    assert "plugin 'empty' of distribution 'trihook-empty'" in shown.stderr


def test_ctrl_c_ends_the_host_without_a_traceback(triton):
    with running_host(triton.url, "--workers", "2") as host:
        host.process.send_signal(signal.SIGINT)
        assert host.process.wait(timeout=30) == 0
        assert "Traceback" not in host.log
        assert "SystemExit" not in host.log


def test_what_the_system_refuses_is_one_line(monkeypatch, capsys):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", "/home/other")

    monkeypatch.setattr(cli, "main", refuse)
    with pytest.raises(SystemExit) as ended:
        main(["registry"])
    assert ended.value.code == 1
    assert capsys.readouterr().err == "Error: permission denied: /home/other\n"
