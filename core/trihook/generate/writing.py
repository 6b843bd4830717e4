"""How generated files are put on disk: all of them, or none over what somebody has edited."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from trihook.errors import ConfigError


def write_files(files: Mapping[str, bytes], folder: Path, *, force: bool = False) -> list[Path]:
    """Write the files below ``folder``, and return the paths of those that have changed.

    Raises :class:`trihook.ConfigError`, having written nothing, if a file exists with other
    content and ``force`` is not given; also if a file cannot be written.
    """
    try:
        changed = [path for path, content in files.items() if _read(folder / path) != content]
        present = [path for path in changed if (folder / path).exists()]
        if present and not force:
            raise ConfigError(
                f"{folder} holds other versions of {', '.join(present)}: choose another folder "
                "with --output, or overwrite them with --force"
            )
        for path in changed:
            _write(folder / PurePosixPath(path), files[path])
    except OSError as exc:
        raise ConfigError(
            f"{exc.filename or folder} cannot be written: {(exc.strerror or 'unknown').lower()}"
        ) from exc
    return [folder / path for path in changed]


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
