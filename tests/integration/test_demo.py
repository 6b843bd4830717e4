"""The demo that the README begins with: what it prints, and that it leaves nothing behind."""

import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from servers import environment, wait_until

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"
ANSWERS = ["Egyptian cat (0.79)", "espresso (0.90)", "Marta Lindqvist", "1874", "about 300"]


def children_of(pid):
    """Return the process ids of all descendants."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[1]) == pid:
            child = int(status.parent.name)
            found += [child, *children_of(child)]
    return found


def test_the_demo_prints_each_request_with_model_answer_and_times(repository):
    ended = subprocess.run(
        [sys.executable, DEMO, repository],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=environment(),
    )
    assert ended.returncode == 0, ended.stderr
    requests = ended.stdout.split("\nPOST ")[1:]
    assert len(requests) == 7
    answers = [line.strip() for line in ended.stdout.splitlines() if "  answer  " in line]
    assert [a for a in (f"answer  {x}" for x in ANSWERS) if a not in answers] == []
    for request in requests:
        assert "model   " in request
        times = request.split("time    ")[1]
        assert [part.split()[0] for part in times.strip().split(", ")] == [
            "select_model",
            "preprocess",
            "infer",
            "postprocess",
        ]


@pytest.fixture
def serving(repository):
    process = subprocess.Popen(
        [sys.executable, DEMO, repository, "--serve"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    yield process
    process.terminate()  # its servers lead sessions of their own, and only it ends them
    try:
        process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def test_serve_prints_curl_lines_that_work_and_ends_all_of_it(serving):
    lines = []
    while len([line for line in lines if "curl" in line]) < 3:
        line = serving.stdout.readline()
        assert line, "it ended before it said how to reach it"
        lines.append(line)
    picture, question, ready = (shlex.split(line) for line in lines if "curl" in line)
    assert b"Egyptian cat" in fetch(picture)
    assert b"Marta Lindqvist" in fetch(question)
    assert b'"ready":true' in fetch(ready)

    started = children_of(serving.pid)
    assert len(started) > 4  # the command, its supervisor, tritonserver, stubs, host and workers
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(timeout=60) == 0
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))


def fetch(curl):
    """Do what a line of curl says, of which the demo uses three options."""
    *options, url = curl[1:]
    given = dict(zip(options[::2], options[1::2], strict=True))
    data = given.get("--data-binary", given.get("-d"))
    if data is not None:
        data = Path(data[1:]).read_bytes() if data.startswith("@") else data.encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if data else {}
    if "-H" in given:
        name, value = given["-H"].split(": ")
        headers[name] = value
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
        return answer.read()
