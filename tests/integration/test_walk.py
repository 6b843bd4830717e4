"""The walk from a folder of models to a scoring URI and back, as one script."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from servers import environment, free_port, wait_until

WALK = Path(__file__).parents[2] / "examples" / "walk.py"


def processes_in(folder):
    """Return the command lines that name a folder."""
    commands = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has just ended
            commands.append(file.read_bytes().replace(b"\0", b" ").decode())
    return [command for command in commands if str(folder) in command]


@pytest.mark.timeout(900)  # pip builds an environment
def test_the_walk_scores_and_updates_without_loss_and_leaves_nothing(tmp_path):
    port = free_port()
    ended = subprocess.run(
        [sys.executable, WALK, "--port", str(port)],
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
        env={**environment(), "TMPDIR": str(tmp_path)},
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert "Triton can serve bidaf_onnx: 200" in lines
    assert "Triton can serve densenet_onnx: 200" in lines
    assert f"answers: running at http://localhost:{port}/score" in lines
    assert any('"answer": "Marta Lindqvist"' in line for line in lines)
    assert any('"label": ' in line for line in lines)
    last = lines[-1]
    assert last.startswith("now bidaf_onnx:2: ")
    assert last.endswith(" scored meanwhile, 0 lost")
    assert " 0 scored" not in last
    wait_until(lambda: not processes_in(tmp_path), 5)
    # ONNX Runtime leaves an id of its session in the folder for temporary files
    assert [path for path in tmp_path.iterdir() if path.name != ".ses"] == []
