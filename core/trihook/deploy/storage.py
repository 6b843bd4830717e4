"""Folders and files that are whole or not there, whenever their writer is killed.

Everything is written in a folder of its own in the staging area and moved to its place by one
``rename``. The writer holds a lock on its folder, which the kernel takes away when it dies: that
is how the next writer tells what is left over, and removes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from trihook.errors import TrihookError, describe_os_error

_CHUNK = 1 << 20


@contextlib.contextmanager
def explained(error: type[TrihookError], what: str) -> Iterator[None]:
    """Raise ``error`` instead of an ``OSError``, saying what failed, why, and at which file."""
    try:
        yield
    except OSError as exc:
        raise error(f"{what}: {describe_os_error(exc)}") from exc


@contextlib.contextmanager
def staged(area: Path) -> Iterator[Path]:
    """Yield a new folder in ``area``, and remove it in the end unless it was moved away."""
    area.mkdir(parents=True, exist_ok=True)
    sweep(area)
    folder, lock = _make_locked(area)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextlib.contextmanager
def opened(path: Path, flags: int = os.O_RDONLY) -> Iterator[int | None]:
    """Yield a handle of a file or folder, ``None`` if there is none.

    While it is open, nothing else gets the number by which :func:`is_still` tells it from what
    has come in its place.
    """
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)


def is_still(handle: int | None, path: Path) -> bool:
    """Tell whether the path leads to what the handle was opened for."""
    try:
        return handle is not None and os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def sweep(area: Path) -> None:
    """Remove what killed writers left in ``area``."""
    for folder in area.iterdir():
        try:
            lock = os.open(folder, os.O_RDONLY)
        except OSError:  # its writer has just moved it
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def move_into_place(folder: Path, target: Path) -> bool:
    """Move a staged folder to where nothing is; return False if something is there."""
    try:
        folder.rename(target)
    except OSError as exc:
        if exc.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            return False
        raise
    _flush(target.parent)
    return True


def discard(folder: Path, area: Path) -> None:
    """Make a folder vanish at once, and then remove it, by way of the staging area.

    Where the disk is full, or the folder came with a container's image, there is no such way, and
    it goes file by file.
    """
    try:
        with opened(folder) as found, staged(area) as trash:
            if is_still(found, folder):  # the area has been swept, which may take its time
                folder.rename(trash / "discarded")
                _flush(folder.parent)
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EXDEV):
            raise
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)


def write_file(path: Path, content: bytes) -> None:
    """Put a whole file in the place of what is there, and on the disk."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def copy_tree(source: Path, target: Path) -> dict[str, str]:
    """Copy a folder, following links, and return its files' SHA-256 by relative path.

    Raises ``OSError`` also for a link that leads back to a folder above it, for what is
    neither file nor folder, for a file that changed while it was read, and for a folder that the
    copy would be in.
    """
    if source.resolve() in target.resolve().parents:
        raise OSError(errno.EINVAL, "the folder holds the home that it is to be copied to", source)
    return {str(path.relative_to(target)): digest for path, digest in _copy(source, target, ())}


def link_tree(source: Path, target: Path) -> None:
    """Make a copy of a folder that shares its files where the file system can do that."""
    shutil.copytree(source, target, copy_function=_link)


def digest_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _make_locked(area: Path) -> tuple[Path, int]:
    while True:
        folder = area / secrets.token_hex(8)
        folder.mkdir()
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():  # else somebody swept it before it was locked
                return folder, lock
            os.close(lock)


def _copy(source: Path, target: Path, above: tuple[Path, ...]) -> Iterator[tuple[Path, str]]:
    real = source.resolve()
    if real in above:
        raise OSError(errno.ELOOP, "the folder contains itself by way of a link", str(source))
    target.mkdir()
    for path in sorted(source.iterdir()):
        copy = target / path.name
        if path.is_dir():
            yield from _copy(path, copy, (*above, real))
        elif path.is_file():
            yield copy, _copy_file(path, copy)
        else:
            raise OSError(errno.EINVAL, "this is neither a file nor a folder", str(path))
    _flush(target)


def _copy_file(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        before = os.fstat(reading.fileno())
        while chunk := reading.read(_CHUNK):
            digest.update(chunk)
            writing.write(chunk)
        writing.flush()
        os.fsync(writing.fileno())
        after = os.fstat(reading.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise OSError(errno.EBUSY, "the file changed while it was copied", str(source))
    shutil.copymode(source, target)
    return digest.hexdigest()


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _flush(folder: Path) -> None:
    """Put a folder's entries on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
