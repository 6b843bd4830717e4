"""Memory shared with a Triton on this machine: tensors in it need not go through a socket.

A region is a file of ``/dev/shm`` that Triton maps when it is told of it, and that has no name any
more from then on: nothing is left of it when both have let go. Source: Triton's system shared
memory extension.
"""

from __future__ import annotations

import logging
import mmap
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gevent

from trihook.errors import ScoringError, TritonError
from trihook.triton.answers import Answer
from trihook.triton.connections import Buffer

_LOG = logging.getLogger(__name__)

_FOLDER = Path("/dev/shm")  # noqa: S108 - where POSIX shared memory is on Linux
_PREFIX = "trihook-tensors"
_WORTH = 128 * 1024  # bytes; fewer go through the socket about as quickly
_SMALLEST = 1024 * 1024  # bytes; the sizes of regions are powers of two
_ALTOGETHER = 64 * 1024 * 1024  # bytes
_REST = 300.0  # seconds in which Triton has surely done with what nobody waits for any more
_PAUSE = 60.0  # seconds until it is tried again after Triton or the machine had none
_LAST_RUN = 15.0  # seconds in which Triton has done with what a process asked before it was killed
_NAMESPACE = Path("/proc/self/ns/pid")  # of the process ids that are told apart here

Ask = Callable[[str, str, Any], Any]
"""Sends a request to Triton, by method, path and JSON, and returns JSON; raises ScoringError."""


class Region:
    """So many bytes of shared memory, which Triton knows by their ``name``."""

    def __init__(self, size: int) -> None:
        self.name = f"{_PREFIX}.{os.getpid()}.{_find_namespace()}.{secrets.token_hex(8)}"
        self.size = size
        descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            # a mere hole could not be filled where memory runs out, and the process would die of it
            os.posix_fallocate(descriptor, 0, size)
            self.buffer = memoryview(mmap.mmap(descriptor, size))
        except BaseException:
            self.unlink()
            raise
        finally:
            os.close(descriptor)

    def write(self, data: Iterable[Buffer], offset: int) -> dict[str, Any]:
        """Write a tensor at an offset, and return how a request refers to it."""
        end = offset
        for piece in data:
            self.buffer[end : end + len(piece)] = piece
            end += len(piece)
        return {
            "shared_memory_region": self.name,
            "shared_memory_offset": offset,
            "shared_memory_byte_size": end - offset,
        }

    @property
    def _path(self) -> Path:
        return _FOLDER / self.name

    def unlink(self) -> None:
        """Take the name away; what is mapped stays."""
        self._path.unlink(missing_ok=True)


class SharedMemory:
    """The regions of one client, for the greenlets of one hub.

    What cannot be shared goes through the socket, as ever: nothing here fails a request.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._known: set[Region] = set()
        self._free: list[Region] = []
        self._resting: deque[tuple[float, Region]] = deque()  # until when, and which
        self._stale: list[str] = []
        self._stale_at = float("inf")
        self._is_making = False
        self._off_until = float("-inf")

    def use(self, size: int, ask: Callable[[Region | None], Answer]) -> Answer:
        """Ask Triton with a region of at least ``size`` bytes, or without one; return its answer.

        It is asked without where the tensors are too small for it to pay, where there is none to
        be had, and once more where Triton does not know the region any more. A request that came
        to nothing may be Triton's yet, which then must not see the tensors of another one.
        """
        region = self._take(size) if size >= _WORTH else None
        if region is None:
            return ask(None)
        try:
            answer = ask(region)
        except BaseException:
            self._resting.append((time.monotonic() + _REST, region))
            raise
        if region in self._known:
            self._free.append(region)
        if answer.status == 200 or region.name.encode() not in answer.body:
            return answer
        self._forget()
        return ask(None)

    def close(self) -> None:
        """Let Triton give up the regions that it reads no more, if it can be reached."""
        self._unregister_all([region.name for region in self._free])
        self._forget()

    def _take(self, size: int) -> Region | None:
        """Return a region that nobody else uses, or None and have one made for the next time."""
        now = time.monotonic()
        while self._resting and self._resting[0][0] <= now:
            _, rested = self._resting.popleft()
            if rested in self._known:
                self._free.append(rested)
        if now >= self._stale_at:
            self._stale_at = float("inf")
            gevent.spawn(self._unregister_all, self._stale)
        for region in self._free:
            if region.size >= size:
                self._free.remove(region)
                return region
        size = max(_SMALLEST, 1 << (size - 1).bit_length())
        is_full = size + sum(region.size for region in self._known) > _ALTOGETHER
        if not is_full and not self._is_making and now >= self._off_until:
            self._is_making = True
            gevent.spawn(self._make, size)
        return None

    def _forget(self) -> None:
        self._known.clear()
        self._free.clear()
        self._resting.clear()

    def _make(self, size: int) -> None:
        """Make a region and let Triton know of it."""
        try:
            if not self._known:
                self._find_stale()
            region = Region(size)
            try:
                about = {"key": f"/{region.name}", "offset": 0, "byte_size": size}
                self._ask("POST", f"{_path_of(region.name)}/register", about)
            finally:
                region.unlink()
            self._known.add(region)
            self._free.append(region)
        except (OSError, ScoringError) as exc:
            _LOG.info("no memory is shared with triton for the next minute: %s", exc)
            self._off_until = time.monotonic() + _PAUSE
        finally:
            self._is_making = False

    def _find_stale(self) -> None:
        """Look for regions of processes that were killed; Triton may read them a moment still."""
        listed = self._ask("GET", "/v2/systemsharedmemory/status", None)
        self._stale = [entry["name"] for entry in listed if _is_stale(entry["name"])]
        if self._stale:
            self._stale_at = time.monotonic() + _LAST_RUN

    def _unregister_all(self, names: Iterable[str]) -> None:
        for name in names:
            if not self._unregister(name):
                return

    def _unregister(self, name: str) -> bool:
        """Let Triton give up a region; tell whether it can be asked for another one."""
        try:
            self._ask("POST", f"{_path_of(name)}/unregister", {})
        except ScoringError as exc:
            _LOG.debug("triton keeps the shared memory %s: %s", name, exc)
            return isinstance(exc, TritonError)  # which may have one in use, or have lost it
        return True


def _path_of(name: str) -> str:
    return f"/v2/systemsharedmemory/region/{quote(name, safe='')}"


def _find_namespace() -> int:
    try:
        return _NAMESPACE.stat().st_ino
    except OSError:
        return 0


def _is_stale(name: str) -> bool:
    """Tell whether a region's process has ended, as far as it can be seen from here."""
    prefix, pid, namespace = [*name.split("."), "", "", ""][:3]
    is_ours = prefix == _PREFIX and namespace == str(_find_namespace())
    return is_ours and pid.isdigit() and not Path("/proc", pid).exists()
