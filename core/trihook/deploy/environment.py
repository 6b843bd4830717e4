"""Build a virtual environment: ``python -m trihook.deploy.environment REQUIREMENTS FOLDER``."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path

BUILT = "built"


def build(requirements: Path, folder: Path) -> int:
    """Make an environment with what a requirements file lists; return pip's exit status.

    Paths in the file are relative to its folder. The file ``built`` appears when it is complete.
    """
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, symlinks=True, with_pip=True)  # as ``python -m venv`` does
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    install = [*pip, "install", "--no-input", "-r", str(requirements.absolute())]
    status = subprocess.run(install, cwd=requirements.parent, check=False).returncode  # noqa: S603 - the environment's own pip
    if status == 0:
        (folder / BUILT).touch()
    return status


def main() -> int:
    """Build what the command line names; when this ends early, so do pip and its children."""
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    requirements, folder = map(Path, sys.argv[1:])
    return build(requirements, folder)


if __name__ == "__main__":
    sys.exit(main())
