"""Where work runs: hooks in native threads, the network on one gevent hub.

The pipeline asks a :class:`Runtime` and knows no more. :class:`ThreadRuntime` serves plain
programs, such as an entry script; the host brings one for gevent workers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from trihook.deadline import Deadline

_CLOSED = "the runtime has been closed"

T = TypeVar("T")
R = TypeVar("R")


class Runtime(Protocol):
    """Where the pipeline's work runs."""

    def run_hooks(
        self, function: Callable[[T], R], work: Sequence[T], deadline: Deadline
    ) -> list[R]:
        """Call ``function`` for each piece of work, several at a time, and return in order.

        ``function`` does not raise. Raises ``TimeoutError`` when the deadline has passed.
        """

    def run_network(self, function: Callable[[], R]) -> R:
        """Call ``function`` on the hub that owns the Triton client, and return or raise."""

    def close(self) -> None:
        """End what the runtime has started."""


class ThreadRuntime:
    """Runs hooks in a thread pool, and the network on a thread with a hub of its own.

    Any number of plain threads may use it at once.
    """

    def __init__(self, hook_threads: int = 4) -> None:
        self._pool = ThreadPoolExecutor(hook_threads, thread_name_prefix="trihook-hook")
        self._network = HubThread()

    def run_hooks(
        self, function: Callable[[T], R], work: Sequence[T], deadline: Deadline
    ) -> list[R]:
        """See :meth:`Runtime.run_hooks`."""
        futures = [self._pool.submit(function, piece) for piece in work]
        try:
            return [future.result(deadline.left()) for future in futures]
        except FutureTimeoutError as exc:
            for future in futures:
                future.cancel()
            raise TimeoutError from exc

    def run_network(self, function: Callable[[], R]) -> R:
        """See :meth:`Runtime.run_network`."""
        return self._network.call(function)

    def close(self) -> None:
        """End the threads; hooks that still run are left behind, and who waits is told."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._network.close()


class HubThread:
    """A native thread with a gevent hub, which runs greenlets for other threads."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._pending: set[Future[Any]] = set()
        self._is_closed = False
        self._closing = threading.Lock()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trihook-network", daemon=True)
        self._thread.start()
        self._started.wait()

    def call(self, function: Callable[[], R]) -> R:
        """Run ``function`` in a greenlet of the hub, wait, and return or raise as it does.

        Raises ``RuntimeError`` where the thread has ended, or ends meanwhile.
        """
        future: Future[R] = Future()
        self._pending.add(future)
        try:
            self._send(future, function)
            return future.result()
        finally:
            self._pending.discard(future)

    def close(self) -> None:
        """Let the thread end, if it has not."""
        with suppress(RuntimeError):
            self._send(Future(), self._end.set, is_last=True)
        self._thread.join(timeout=5)

    def _send(
        self, future: Future[Any], function: Callable[[], Any], *, is_last: bool = False
    ) -> None:
        with self._closing:  # or the hub might be gone in between
            if self._is_closed:
                raise RuntimeError(_CLOSED)
            self._is_closed = is_last
            self._calls.put((future, function))
            self._wake.send()

    def _run(self) -> None:
        import gevent  # noqa: PLC0415 - plain programs need no hub before they have a runtime
        from gevent.event import Event  # noqa: PLC0415

        def spawn_calls() -> None:
            while not self._calls.empty():
                gevent.spawn(_settle, *self._calls.get())

        self._end = Event()
        self._wake = gevent.get_hub().loop.async_()
        self._wake.start(spawn_calls)
        self._started.set()
        self._end.wait()
        for future in [*self._pending]:
            _settle(future, _fail)
        self._wake.close()
        gevent.get_hub().destroy(destroy_loop=True)


def _settle(future: Future[R], function: Callable[[], R]) -> None:
    try:
        result, error = function(), None
    except BaseException as exc:  # noqa: BLE001 - it is raised again in the thread that waits
        result, error = None, exc
    if future.done():  # the thread has ended meanwhile
        return
    if error is None:
        future.set_result(result)  # type: ignore[arg-type]  # it is what the function returned
    else:
        future.set_exception(error)


def _fail() -> None:
    raise RuntimeError(_CLOSED)
