"""The process that runs one service: ``python -m trihook.deploy.supervisor FOLDER SOCKET LOCK``.

It is detached from whoever deployed the service, holds the service's socket, so that connections
wait while a host is being replaced, and its lock, which says that it lives. It works through
what it finds in the service's folder: the newest generation there is to be run. SIGTERM ends it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

from trihook.deploy.generation import read_generation
from trihook.deploy.stack import Stack
from trihook.deploy.status import Failure, Status, write_status
from trihook.errors import describe_os_error

_LOG = logging.getLogger(__name__)
_TICK_SECONDS = 0.1
_GRACE_SECONDS = 5


class Supervisor:
    """Runs the newest generation, keeps it up, and replaces it when a newer one is ready.

    The one before ends when its requests have ended. A newer one that does not become ready is
    given up, and the one before goes on.
    """

    def __init__(self, folder: Path, listener: socket.socket) -> None:
        self._folder = folder
        self._listener = listener
        self._status = Status(supervisor=os.getpid())
        self._current: Stack | None = None
        self._next: Stack | None = None
        self._retired: list[Stack] = []
        self._ending = False
        self._is_said = True

    def end(self, *_: object) -> None:
        """End the service, at the next tick."""
        self._ending = True

    def run(self) -> None:
        """Run the service until it is ended, or until its first generation has failed."""
        try:
            while not self._ending and self._status.phase != "failed":
                self._tick()
                self._say()
                time.sleep(_TICK_SECONDS)
            if self._ending:
                self._say(phase="stopping", step="ending")
                self._end_gracefully()
        finally:
            for stack in self._stacks():
                stack.stop()

    def _stacks(self) -> list[Stack]:
        return [*self._retired, *filter(None, (self._current, self._next))]

    def _tick(self) -> None:
        self._look_for_generation()
        for stack in (self._current, self._next):
            if stack is not None:
                stack.tick()
        if self._next is not None:
            if self._next.failure is not None:
                self._give_up(self._next, self._next.failure)
            elif self._next.generation.is_cancelled:
                number = self._next.generation.number
                self._give_up(self._next, Failure(number, "update", "was cancelled"))
            elif self._next.was_ready:
                self._replace(self._next)
        for stack in [stack for stack in self._retired if stack.is_drained()]:
            self._retired.remove(stack)
            self._remove(stack)

    def _look_for_generation(self) -> None:
        generations = self._folder / "generations"
        try:
            names = [folder.name for folder in generations.iterdir()]
        except FileNotFoundError:
            raise
        except OSError:  # too many open files, say: there is another tick
            return
        newest = max((int(name) for name in names if name.isdecimal()), default=0)
        seen = max(self._status.generation, self._status.failure.generation)
        if self._next is None and newest > seen:
            try:
                self._next = self._begin(generations / str(newest))
            except OSError as exc:
                if self._current is not None:
                    shutil.rmtree(generations / str(newest), ignore_errors=True)
                self._fail(Failure(newest, "generation", describe_os_error(exc)))

    def _begin(self, folder: Path) -> Stack:
        generation = read_generation(folder)
        _LOG.info(
            "starting generation %d: %s", generation.number, ", ".join(generation.spec.models)
        )
        folders = (self._folder / "environments", self._folder / "logs")
        return Stack(generation, self._listener, *folders)

    def _replace(self, stack: Stack) -> None:
        _LOG.info("generation %d is ready", stack.generation.number)
        if self._current is not None:
            self._current.drain()
            self._retired.append(self._current)
        self._current, self._next = stack, None

    def _give_up(self, stack: Stack, failure: Failure) -> None:
        """Leave it at the generation before; a host that has begun to answer ends like that one."""
        self._next = None
        if self._current is None:
            stack.stop()
        elif stack.host.has_answered:
            stack.drain()
            self._retired.append(stack)
        else:
            self._remove(stack)
        self._fail(failure)

    def _fail(self, failure: Failure) -> None:
        _LOG.error("generation %d failed: %s: %s", failure.generation, failure.part, failure.reason)
        if self._current is None:
            self._say(phase="failed", step="", failure=failure)
        else:
            self._say(failure=failure)

    def _remove(self, stack: Stack) -> None:
        stack.stop()
        shutil.rmtree(stack.generation.folder, ignore_errors=True)
        needed = {each.generation.spec.environment[:16] for each in self._stacks()}
        for folder in (self._folder / "environments").iterdir():
            if folder.name not in needed:
                shutil.rmtree(folder, ignore_errors=True)

    def _say(self, **changes: object) -> None:
        """Write the status where it has changed.

        A full disk does not end a running service; one that is starting could not say that it runs.
        """
        status = self._status
        if self._current is not None:
            status = replace(
                status,
                phase="running",
                generation=self._current.generation.number,
                triton_url=f"http://{self._current.triton.address}",
                triton=self._current.triton.pid,
                host=self._current.host.pid,
                recoveries=self._current.recoveries,
            )
        waited_for = self._next.step if self._next else ""
        status = replace(status, **{"step": waited_for, **changes})  # type: ignore[arg-type]  # field by name
        if status == self._status and self._is_said:
            return
        was_running, self._status = self._status.generation > 0 and self._is_said, status
        try:
            write_status(self._folder, status)
            self._is_said = True
        except OSError as exc:
            if self._is_said:
                _LOG.error("the status cannot be written: %s", exc.strerror)
            self._ending = self._ending or (self._is_said and not was_running)
            self._is_said = False

    def _end_gracefully(self) -> None:
        stacks = self._stacks()
        for stack in stacks:
            stack.drain()
        deadline = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < deadline and not all(stack.is_drained() for stack in stacks):
            time.sleep(_TICK_SECONDS)


def main() -> None:
    """Detach from the terminal and run the service that the command line names."""
    if os.fork():
        os._exit(0)  # so that whoever deploys has no child to wait for
    os.setsid()
    folder, number, _ = sys.argv[1:]  # the lock is held by being open
    logging.basicConfig(level=logging.INFO, format="%(asctime)s [%(levelname)s] %(message)s")
    with contextlib.closing(socket.socket(fileno=int(number))) as listener:
        supervisor = Supervisor(Path(folder), listener)
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, supervisor.end)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        supervisor.run()


if __name__ == "__main__":
    main()
