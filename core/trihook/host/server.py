"""The host as a server: Gunicorn with gevent workers, each with its own plugins and client."""

from __future__ import annotations

import errno
import logging
import math
import os
import resource
import socket
import sys
from contextlib import nullcontext, suppress
from typing import Any

from trihook.config import Settings
from trihook.errors import ConfigError
from trihook.host.arbiter import SteadyApplication, SteadyArbiter
from trihook.host.cores import find_cores
from trihook.host.metrics import check_metrics, forget_process, shared_metrics

EXIT_WRONG_SETTING = 2
EXIT_BROKEN_PLUGIN = 3

_FILES = 4096  # for 1,000 connections, those to Triton, and whatever hooks open

_LOG = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Serve until a signal ends it; exits with status 3 if a plugin cannot be loaded.

    The status is 2 if the only trouble is a plugin to load that is not installed.

    Nothing is loaded before the workers are forked: neither plugins, which may start threads
    when imported, nor a client of Triton, whose connections must not be shared. Raises
    :class:`trihook.ConfigError` if the address cannot be listened at, or metrics are to be told and
    cannot be.
    """
    check_address(settings.host, settings.port)
    if settings.metrics:
        check_metrics()
    _allow_files()
    status = _check_plugins(settings)
    if status:
        sys.exit(status)
    with shared_metrics() if settings.metrics else nullcontext():
        _Server(settings).run()


def check_address(host: str, port: int) -> None:
    """Say what is wrong with an address: Gunicorn would try for seconds, and not say it.

    Raises :class:`trihook.ConfigError` if it cannot be listened at.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            problem = f"port {port} of {host} is taken: choose another with --port"
        else:
            reason = (exc.strerror or "unknown").lower()
            problem = f"port {port} of {host} cannot be listened at: {reason}"
        raise ConfigError(problem) from exc


def _allow_files() -> None:
    """Let each worker open as many files as it needs, where that is the process's to say.

    The usual limit is 1,024, for a worker that takes 1,000 connections. It is so low for the sake
    of ``select()``, which knows no higher numbers.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = _FILES if hard == unlimited else min(_FILES, hard)
    if soft != unlimited and soft < wanted:
        with suppress(OSError, ValueError):  # some systems have a limit of their own besides
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def format_address(host: str, port: int) -> str:
    """Return an address as Gunicorn reads it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _check_plugins(settings: Settings) -> int:
    """Load the plugins in a child that then ends, and return its exit status.

    Workers that fail one after the other would each say so, and Gunicorn would end with a
    status that depends on which of them it heard of first.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = EXIT_BROKEN_PLUGIN
    try:
        status = _report_broken_plugins(settings)
    except Exception:  # noqa: BLE001 - the child must not go on as its parent does
        _LOG.exception("the plugins could not be checked")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _report_broken_plugins(settings: Settings) -> int:
    from trihook.plugins import describe_problem  # noqa: PLC0415 - only in the child
    from trihook.service import load_installed_plugins  # noqa: PLC0415

    plugins = load_installed_plugins(settings)
    for problem in plugins.unblocked:
        _LOG.warning("%s", problem)
    skipped = settings.skip_broken_plugins
    for problem in (*plugins.absent, *map(describe_problem, plugins.problems)):
        _LOG.error("%s%s", "skipping " if skipped else "", problem)
    if skipped:
        return 0
    if plugins.problems:
        return EXIT_BROKEN_PLUGIN
    return EXIT_WRONG_SETTING if plugins.absent else 0


def _free_place(_arbiter: SteadyArbiter, worker: Any) -> None:
    worker.place.free()


def _forget_worker(_arbiter: SteadyArbiter, worker: Any) -> None:
    worker.place.free()
    forget_process(worker.pid)


class _Server(SteadyApplication):
    """Gunicorn, configured by our settings alone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from Gunicorn's defaults."""
        settings = self._settings
        options: dict[str, Any] = {
            "bind": format_address(settings.host, settings.port),
            "workers": settings.workers,
            "worker_class": "trihook.host.worker.Worker",
            "child_exit": _forget_worker if settings.metrics else _free_place,
            "graceful_timeout": math.ceil(settings.graceful_timeout),
            "keepalive": 75,
            "proc_name": "trihook",
            # no header changes a request's scheme or path, whoever sends it: nobody need be told
            # from a trusted proxy, request by request
            "forwarded_allow_ips": "*",
            "forwarder_headers": "",
            "secure_scheme_headers": {},
            # one socket per user, shared by all instances, which nothing here needs
            "control_socket_disable": True,
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        """Build the application, in the worker that will run it."""
        from trihook.host.app import create_app  # noqa: PLC0415 - only in the worker
        from trihook.host.greenlets import GeventRuntime  # noqa: PLC0415
        from trihook.service import build_service  # noqa: PLC0415

        settings, cores = self._settings, find_cores()
        runtime = GeventRuntime(settings.hook_threads, cores.of_each(settings.workers))
        polls = cores.are_enough_to_poll(settings.workers)
        busy_poll = settings.busy_poll if polls else 0.0
        return create_app(build_service(settings, runtime, busy_poll=busy_poll))
