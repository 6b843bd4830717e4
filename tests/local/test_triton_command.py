"""``trihook triton``, as far as it goes without a server."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from trihook.cli import triton as command
from trihook.cli.triton import triton


def run(*arguments: object) -> Result:
    return CliRunner().invoke(triton, [str(argument) for argument in arguments])


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A layout that passes; nothing here is ever loaded."""
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "model.onnx").touch()
    return tmp_path


def test_every_problem_of_the_repository_has_a_line_and_the_status_is_2(repository: Path) -> None:
    (repository / "a").mkdir()
    (repository / "b" / "1").mkdir(parents=True)
    result = run(repository)
    first, second = result.stderr.splitlines()
    assert first.startswith(f"Error: {repository / 'a'}: the model has no version")
    assert second.startswith(f"Error: {repository / 'b' / '1'}: expected one of model.onnx")
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--http-port", "70000"),
        ("--model-control-mode", "some"),
        ("--load-model", "m"),
        ("--address", "localhost"),
    ],
)
def test_wrong_usage_has_status_2(repository: Path, arguments: tuple[str, ...]) -> None:
    result = run(repository, *arguments) if arguments else run()
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")


def test_a_taken_port_has_status_1_and_one_line(repository: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run(repository, "--http-port", port)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: port {port} on 127.0.0.1 cannot be used for Triton")
    assert len(result.stderr.splitlines()) == 1


def test_a_log_that_cannot_be_written_has_status_1_and_one_line(repository: Path) -> None:
    result = run(repository, "--log-file", repository / "absent" / "triton.log")
    said = f"no such file or directory: {repository}/absent/triton.log"
    assert (result.exit_code, result.stderr) == (1, f"Error: Triton cannot be started: {said}\n")


def test_signal_handlers_are_put_back(repository: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run(repository, "--http-port", taken.getsockname()[1])
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_nohup_has_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with command._interrupted_by(signal.SIGTERM, signal.SIGHUP):
            assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
