"""A Triton and a host for one generation: brought up once, then kept up."""

from __future__ import annotations

import logging
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from trihook.deploy.environment_part import EnvironmentPart
from trihook.deploy.generation import Generation
from trihook.deploy.host_part import HostPart
from trihook.deploy.parts import Part, PartError, refusals_told
from trihook.deploy.status import Failure
from trihook.deploy.triton_part import TritonPart

_LOG = logging.getLogger(__name__)
_MARGIN_SECONDS = 30  # over the host's own graceful_timeout
_STEADY_SECONDS = 10
_MAX_DELAY = 4.0


@dataclass
class _Kept:
    """A part, and how often it ended by itself lately."""

    part: Part
    failures: int = 0
    started: float = 0.0
    retry_at: float = 0.0

    def failed(self) -> None:
        """Take the part down, and say when it may start again: at once the first time."""
        now = time.monotonic()
        lately = now - self.started < _STEADY_SECONDS
        self.failures = self.failures + 1 if lately else 1
        self.retry_at = now + (min(0.25 * 2**self.failures, _MAX_DELAY) if self.failures > 1 else 0)
        self.part.stop()


class Stack:
    """All parts of one generation; :meth:`tick` is called several times a second.

    Until it is ready, the parts are started in their order, and the first that ends by itself, or
    takes too long, is the stack's ``failure``. From then on a part that ends is started again.
    """

    def __init__(
        self, generation: Generation, listener: socket.socket, environments: Path, logs: Path
    ) -> None:
        self.generation = generation
        self.failure: Failure | None = None
        self.was_ready = False
        self.recoveries = 0
        self.step = ""
        self.triton = TritonPart(generation.repository, logs / "triton.log")
        self.host = HostPart(generation, listener, logs / "host.log", self.triton)
        self._kept = [_Kept(self.triton), _Kept(self.host)]
        self._drain_until = 0.0
        if digest := generation.spec.environment:
            environment = EnvironmentPart(
                generation.requirements, environments / digest[:16], logs / "environment.log"
            )
            self.host.python = environment.python
            self._kept.insert(0, _Kept(environment))

    def tick(self) -> None:
        """Take the next step, if there is one; returns within seconds."""
        if self.was_ready:
            for kept in self._kept:
                self._keep_up(kept)
        elif self.failure is None:
            self.was_ready = all(self._bring_up(kept) for kept in self._kept)

    def drain(self) -> None:
        """Begin to end: the host takes no further request, and ends those it has accepted."""
        self._drain_until = time.monotonic() + self.host.patience + _MARGIN_SECONDS
        self.host.drain()

    def is_drained(self) -> bool:
        """Tell whether no request is under way any more, or waited for any longer."""
        return self.host.is_drained() or time.monotonic() > self._drain_until

    def stop(self) -> None:
        """End everything at once."""
        for kept in reversed(self._kept):
            kept.part.stop()
        self.host.close()

    def _bring_up(self, kept: _Kept) -> bool:
        """Tell whether a part is ready; a failure stands in ``failure`` then."""
        part = kept.part
        try:
            with refusals_told():
                if not part.is_started:
                    kept.started = time.monotonic()
                    part.start()
                ready = part.is_ready()
        except PartError as exc:
            self._fail(part, str(exc), exc.lines)
            return False
        if not ready and self._is_late(kept):
            self._fail(part, f"was not ready in {self.generation.spec.timeout:g} s", ())
        self.step = "" if ready else part.describe()
        return ready

    def _is_late(self, kept: _Kept) -> bool:
        limited = not isinstance(kept.part, EnvironmentPart)
        return limited and time.monotonic() - kept.started > self.generation.spec.timeout

    def _fail(self, part: Part, reason: str, lines: tuple[str, ...]) -> None:
        if not lines and self.step.startswith(f"{part.name}: "):
            lines = (self.step,)
        self.failure = Failure(self.generation.number, part.name, reason, lines)

    def _keep_up(self, kept: _Kept) -> None:
        part = kept.part
        try:
            with refusals_told():
                if part.is_started:
                    part.is_ready()
                elif time.monotonic() >= kept.retry_at:
                    kept.started = time.monotonic()
                    self.recoveries += 1
                    part.start()
        except PartError as exc:
            _LOG.warning("%s is started again: %s", part.name, exc)
            kept.failed()
