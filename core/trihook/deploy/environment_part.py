"""The environment of a service that brings its own: built once, by pip."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from trihook.deploy.environment import BUILT
from trihook.deploy.parts import PartError
from trihook.deploy.process import describe_end, kill_group, last_lines, spawn


class EnvironmentPart:
    """A Python environment with what a conda file's pip list names, built once."""

    name = "environment"

    def __init__(self, requirements: Path, folder: Path, log: Path) -> None:
        self._requirements = requirements
        self._folder = folder
        self._log = log
        self._start = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self._folder / "bin" / "python")

    @property
    def is_started(self) -> bool:
        """Whether it is built, or being built."""
        return self._process is not None or self._is_built()

    def start(self) -> None:
        """Start building it."""
        self._start = self._log.stat().st_size if self._log.exists() else 0
        self._process = spawn(
            [
                sys.executable,
                "-m",
                "trihook.deploy.environment",
                self._requirements.name,
                str(self._folder),
            ],
            self._log,
            folder=self._requirements.parent,
            environment=os.environ,
        )

    def is_ready(self) -> bool:
        """Tell whether it is built."""
        if self._process is None or self._process.poll() is None:
            return self._is_built()
        if self._process.returncode:
            lines = last_lines(self._log, self._start)
            raise PartError(lines[-1] if lines else describe_end(self._process.returncode), lines)
        self._process = None  # the number of a process that has ended may be another's soon
        return True

    def describe(self) -> str:
        """Say what is under way."""
        return "environment: installing what the conda file lists"

    def stop(self) -> None:
        """Stop building it."""
        if self._process is not None:
            kill_group(self._process)
            self._process = None

    def _is_built(self) -> bool:
        return (self._folder / BUILT).exists()
