"""From a folder of models to a scoring URI and back: every step of a deployment, once."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from load import scoring
from samples import PICTURES, TEXTS, find_picture
from trihook.client import ScoringClient
from trihook.deploy import LocalService, Model, print_line
from trihook.local import LocalTriton

QUESTION = {"context": TEXTS[0]["context"], "query": TEXTS[0]["questions"][0]}
CONDA = "dependencies: [pip, {pip: [nltk, trihook-nltk, trihook-bidaf]}]\n"


def run_python(*arguments: object) -> None:
    """Run a module with this interpreter."""
    subprocess.run([sys.executable, "-m", *map(str, arguments)], check=True)  # noqa: S603 - ours


def prepare(folder: Path, name: str, package: str) -> Model:
    """Build a repository, try it with Triton, register it, and generate its entry script."""
    repository = folder / name / "triton"
    repository.mkdir(parents=True)
    run_python(f"{package}.build", repository)
    with (
        LocalTriton(repository, http_port=0, exit_timeout=0) as triton,
        urllib.request.urlopen(f"{triton.url}/v2/health/ready") as answer,  # noqa: S310 - http
    ):
        print_line(f"Triton can serve {name}: {answer.status}")
    script = ("--model", name, "--output", folder / f"{name}.py")
    run_python("trihook", "generate", "entry-script", *script)
    return Model.register(folder / name, name, {"framework": "ONNX"}, home=folder / "home")


def walk(folder: Path, port: int) -> None:
    """Take every step, with all files in ``folder``; BiDAF is served at ``port``."""
    home, conda = folder / "home", folder / "conda.yml"
    conda.write_text(CONDA)
    bidaf = prepare(folder, "bidaf_onnx", "trihook_bidaf")
    densenet = prepare(folder, "densenet_onnx", "trihook_densenet")
    script = folder / "bidaf_onnx.py"
    answers = LocalService.deploy(
        "answers", [bidaf], entry_script=script, environment=conda, port=port, home=home
    )
    try:
        script = folder / "densenet_onnx.py"
        labels = LocalService.deploy("labels", [densenet], entry_script=script, port=0, home=home)
        for service in (answers, labels):
            service.wait_for_deployment(show_output=True)
            print_line(f"{service.name}: {service.state} at {service.scoring_uri}")
        picture = find_picture(PICTURES[0]).read_bytes()
        label = ScoringClient(f"{labels.scoring_uri}?top=1").score(picture, "image/png").value
        print_line(json.dumps(label))
        print_line(json.dumps(ScoringClient(answers.scoring_uri).score_json(QUESTION).value))
        second = Model.register(folder / "bidaf_onnx", "bidaf_onnx", home=home)
        with scoring(answers.scoring_uri, QUESTION) as count:
            answers.update([second], show_output=True)
        print_line(f"now {second}: {count['scored']} scored meanwhile, {count['lost']} lost")
    finally:
        for service in LocalService.find_all(home=home):
            service.delete()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=6789, help="for BiDAF")
    with tempfile.TemporaryDirectory() as work:
        walk(Path(work), parser.parse_args().port)
