"""The main job, end to end: real pictures and questions, scored over HTTP through a real Triton."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path

from samples import PICTURES, TEXTS, find_picture
from stack import free_port, running_stack
from trihook.client import ScoringClient
from trihook.deploy import print_line


def run_demo(host: str) -> None:
    """Send every request, and say what was asked, answered and by which model, and how fast."""
    for model in ("efficientnet_lite0", "densenet_onnx"):
        for name in PICTURES:
            uri = f"http://{host}/score/{model}?top=1"
            print_line(f"\nPOST {uri}  image/png  {name}")
            reply = ScoringClient(uri).score(find_picture(name).read_bytes(), "image/png")
            note = "; its weights are constant, so it sees nothing" if "dense" in model else ""
            print_line(f"  answer  {reply.value['label']} ({reply.value['score']:.2f}){note}")
            _say_how(reply.model, reply.stages)
    uri = f"http://{host}/score/bidaf_onnx"
    for text in TEXTS:
        for question in text["questions"]:
            print_line(f"\nPOST {uri}  application/json  {question}\n  text    {text['context']}")
            reply = ScoringClient(uri).score_json({"context": text["context"], "query": question})
            print_line(f"  answer  {reply.value['answer']}")
            _say_how(reply.model, reply.stages)


def _say_how(model: str, stages: dict[str, float]) -> None:
    times = ", ".join(f"{stage} {spent:.1f} ms" for stage, spent in stages.items())
    print_line(f"  model   {model}\n  time    {times}")


def say_curl(host: str) -> None:
    """Say how to send the same by hand."""
    data = json.dumps({"context": TEXTS[0]["context"], "query": TEXTS[0]["questions"][0]})
    print_line(f"\nThe scoring host listens at http://{host}; Ctrl-C ends it. Try:\n")
    score, picture = f"http://{host}/score", find_picture(PICTURES[0])
    print_line(f"  curl --data-binary @{picture} {score}/efficientnet_lite0")
    print_line(f"  curl -H 'Content-Type: application/json' -d '{data}' {score}/bidaf_onnx")
    print_line(f"  curl http://{host}/v2/health/ready\n")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", type=Path, help="Triton's model repository")
    parser.add_argument("--serve", action="store_true", help="keep running, and score nothing")
    parser.add_argument("--port", type=int, default=0, help="the host's port; 0 finds one")
    parser.add_argument("--triton-port", type=int, default=0, help="Triton's; 0 finds one")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ports = (options.triton_port or free_port(), options.port or free_port())
    log = options.repository.parent / "stack.log"
    with running_stack(options.repository, *ports, log) as (host, require_running):
        if not options.serve:
            run_demo(host)
            return
        say_curl(host)
        print_line(f"What they log is in {log}")
        while True:
            require_running()
            time.sleep(0.5)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
    except OSError as exc:
        sys.exit(f"Error: the servers cannot start: {exc}")
