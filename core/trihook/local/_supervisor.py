"""The process between the launcher and tritonserver, which ends everything Triton leaves behind.

It is run by path, isolated and without site-packages, so that it starts in milliseconds and
imports the standard library alone::

    python -I -S _supervisor.py LAUNCHER_PID MARK WORK_FOLDER GRACE_SECONDS SERVER [ARGUMENT ...]

It leads a session of its own, so that Ctrl-C in the launcher's terminal reaches the launcher
only. It is a child subreaper: a stub that Triton leaves behind becomes its child, so ``wait``
says with certainty when the last process has gone. It stops Triton on SIGTERM, SIGINT or
SIGHUP, or when the launcher has gone, in whatever way: that shows by the parent process id. (The
end of a pipe would not do: every process forked from the launcher holds its other end too.)

``MARK`` begins the name of each shared-memory region that this Triton creates, and so stands in
the command line of each stub; that is how :func:`sweep` knows what belongs to it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where POSIX keeps named regions, not a temp file
STOPPING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
WAKING = STOPPING | {signal.SIGCHLD}
POLL_SECONDS = 0.2

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Charge:
    """What the supervisor is told: whom to watch, what to run, how to know what belongs to it."""

    launcher: int
    mark: str
    folder: str
    grace: float
    command: tuple[str, ...]


def main() -> int:
    """Read the charge from the command line and see to it."""
    launcher, mark, folder, grace, *command = sys.argv[1:]
    return supervise(Charge(int(launcher), mark, folder, float(grace), tuple(command)))


def supervise(charge: Charge) -> int:
    """Run Triton until it ends or has to; clean up; return its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if ignored, children could not be waited for
    signal.pthread_sigmask(signal.SIG_BLOCK, WAKING)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    server = _start(charge.command)
    os.write(1, b"%d\n" % server.pid)
    while server.poll() is None and os.getppid() == charge.launcher:
        arrived = signal.sigtimedwait(WAKING, POLL_SECONDS)
        if arrived is not None and arrived.si_signo in STOPPING:
            break
    status = _stop(server, charge.grace)
    _end_children()
    sweep(charge.mark)
    if os.getppid() != charge.launcher:
        shutil.rmtree(charge.folder, ignore_errors=True)
    return status if status >= 0 else 128 - status


def sweep(mark: str) -> None:
    """Kill what has regions of ``mark`` in its command line, and remove those regions."""
    for pid in _marked(mark.encode()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    for region in regions(mark):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            region.unlink()


def regions(mark: str) -> tuple[Path, ...]:
    """Return the shared-memory regions whose names begin with ``mark``."""
    return tuple(path for path in SHARED_MEMORY.glob("*") if path.name.startswith(mark))


def _start(command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    def prepare() -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    return subprocess.Popen(  # noqa: S603 - the launcher's own command
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=prepare,  # noqa: PLW1509 - unsafe with threads, and this process has one
    )


def _stop(server: subprocess.Popen[bytes], grace: float) -> int:
    if server.poll() is None and grace:
        server.terminate()
    try:
        return server.wait(grace)
    except subprocess.TimeoutExpired:
        server.kill()
        return server.wait()


def _end_children() -> None:
    """Kill every child until there is none; the children of the killed become ours in turn."""
    while True:
        for pid in _children():
            os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> Iterator[int]:
    for pid, stat in _processes("stat"):
        parent = stat.rpartition(b")")[2].split()[1]  # the name before it may hold anything
        if int(parent) == os.getpid():
            yield pid


def _marked(mark: bytes) -> Iterator[int]:
    # not in a path: that is the name of the folder, of whose log somebody may wait for more
    name = re.compile(rb"(?<!/)" + re.escape(mark))
    for pid, command in _processes("cmdline"):
        if name.search(command) and pid != os.getpid():
            yield pid


def _processes(file: str) -> Iterator[tuple[int, bytes]]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            yield int(folder.name), (folder / file).read_bytes()


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


if __name__ == "__main__":
    sys.exit(main())
