"""An environment with Azure's own inference server, and everything of ours."""

import functools
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

# the server whose behaviour ours is held against, and what schemas are written with
PACKAGES = ("azureml-inference-server-http==1.5.1", "inference-schema==1.8")
FOLDER = Path(__file__).parents[2] / "build" / "azmlinfsrv"


@functools.cache
def azure_python() -> str:
    """Return the interpreter of an environment with the server, made once a clone."""
    stamp = FOLDER / "installed"
    content = f"{sys.version}\n{sysconfig.get_path('purelib')}\n{PACKAGES}\n"
    python = FOLDER / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != content:
        shutil.rmtree(FOLDER, ignore_errors=True)
        _make(python)
        stamp.write_text(content)
    return str(python)


def _make(python: Path) -> None:
    venv.create(FOLDER, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", python, "--quiet"]
    subprocess.run([*pip, "--disable-pip-version-check", "install", *PACKAGES], check=True)
    [packages] = FOLDER.glob("lib/python*/site-packages")
    # what is ours is found behind what the server brings
    ours = sysconfig.get_path("purelib")
    (packages / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
