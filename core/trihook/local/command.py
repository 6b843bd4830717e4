"""What to start: tritonserver's command line, and the folder its backends are loaded from."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trihook.errors import LocalTritonError
from trihook.local.backends import onnxruntime
from trihook.local.installation import Installation

ControlMode = Literal["none", "explicit", "poll"]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How tritonserver is to run. A port of None turns its service off."""

    repository: Path
    address: str
    http_port: int
    grpc_port: int | None
    metrics_port: int | None
    model_control_mode: ControlMode
    load_models: tuple[str, ...]
    exit_timeout: int
    verbose: bool


def prepare(
    installation: Installation, options: ServerOptions, folder: Path, mark: str
) -> list[str]:
    """Lay out what Triton needs in ``folder`` and return the command that starts it.

    Triton passes the repository's path to a shell unquoted, and refuses a backend whose library
    is a symbolic link; so the repository is linked where its path needs quotes, and the
    backends are copied (some 3 MB).
    """
    if shlex.quote(str(folder)) != str(folder):
        raise LocalTritonError(
            f"the folder for temporary files, {folder.parent}, has characters that a shell "
            "interprets, which Triton cannot deal with: set TMPDIR to another"
        )
    repository = options.repository
    if shlex.quote(str(repository)) != str(repository):
        repository = folder / "repository"
        repository.symlink_to(options.repository, target_is_directory=True)
    backends = folder / "backends"
    _copy_backends(installation, backends)
    return [
        str(installation.server),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        f"--backend-config=python,shm-region-prefix-name={mark}",
        *_arguments(options),
    ]


def _copy_backends(installation: Installation, folder: Path) -> None:
    python, onnx = folder / "python", folder / "onnxruntime"
    python.mkdir(parents=True)
    onnx.mkdir()
    for source in (*installation.backend.glob("*.*"), installation.stub):
        shutil.copy(source, python)
    for source in Path(onnxruntime.__file__).parent.glob("[!_]*.py"):
        shutil.copy(source, onnx)


def _arguments(options: ServerOptions) -> Iterator[str]:
    yield f"--http-address={options.address}"
    yield f"--http-port={options.http_port}"
    yield from _service("grpc", options.address, options.grpc_port)
    yield from _service("metrics", options.address, options.metrics_port)
    yield f"--model-control-mode={options.model_control_mode}"
    for model in options.load_models:
        yield f"--load-model={model}"
    yield f"--exit-timeout-secs={options.exit_timeout}"
    yield f"--log-verbose={int(options.verbose)}"
    yield "--pinned-memory-pool-byte-size=0"  # serves GPUs only, and warns where there is none


def _service(name: str, address: str, port: int | None) -> Iterator[str]:
    yield f"--allow-{name}={str(port is not None).lower()}"
    if port is not None:
        yield f"--{name}-address={address}"
        yield f"--{name}-port={port}"
