"""Clearing away what a launch left behind whose launcher and supervisor were both killed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import wait_until
from trihook.local import _supervisor
from trihook.local.marks import clear_stale, new_mark

LEAVE = """
import subprocess, sys, tempfile, pathlib
from trihook.local.marks import new_mark
mark = new_mark()
pathlib.Path("/dev/shm", mark + "region").touch()
pathlib.Path(tempfile.gettempdir(), mark).mkdir()
program = "import os, time; os.close(1); time.sleep(600)"
stub = subprocess.Popen([sys.executable, "-c", program, mark], stdout=subprocess.PIPE)
stub.stdout.read()  # it runs once it has closed its output
print(mark)
"""


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture
def mark() -> Iterator[str]:
    mark = new_mark()
    yield mark
    _supervisor.sweep(mark)


def region(mark: str) -> Path:
    return _supervisor.SHARED_MEMORY / f"{mark}region"


def test_what_a_dead_launcher_left_is_cleared_away(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LEAVE], stdout=subprocess.PIPE, text=True, check=True
    )
    left = ended.stdout.strip()
    assert region(left).exists()
    assert list(_supervisor._marked(left.encode()))
    clear_stale()
    assert not region(left).exists()
    assert not (tmp_path / left).exists()
    # the signal is sent by now, and the process may take a moment to end
    wait_until(lambda: not list(_supervisor._marked(left.encode())))


def test_what_a_living_launcher_uses_is_left_alone(tmp_path: Path, mark: str) -> None:
    region(mark).touch()
    (tmp_path / mark).mkdir()
    clear_stale()
    assert region(mark).exists()
    assert (tmp_path / mark).exists()


def test_another_namespace_and_other_names_are_left_alone(tmp_path: Path) -> None:
    others = [tmp_path / name for name in ("trihook.1.1.1.01234567.", "trihook.notes", "other")]
    for path in others:
        path.mkdir()
    clear_stale()
    assert all(path.exists() for path in others)


def test_marks_differ(mark: str) -> None:
    assert new_mark() != mark


def test_who_reads_the_log_goes_on_where_what_has_the_mark_is_ended(
    tmp_path: Path, mark: str
) -> None:
    log = tmp_path / mark / "tritonserver.log"
    log.parent.mkdir()
    log.touch()
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with (
        subprocess.Popen(["tail", "-f", log]) as reader,
        subprocess.Popen([*sleep, f"{mark}region"]) as stub,
    ):
        try:
            wait_until(lambda: list(_supervisor._marked(mark.encode())) == [stub.pid])
            _supervisor.sweep(mark)
            stub.wait(10)
            assert reader.poll() is None
        finally:
            reader.kill()
            stub.kill()
