"""Serve an entry script: Gunicorn with workers that run one request at a time."""

from __future__ import annotations

import io
import logging
import math
import os
import sys
from typing import Any

from gunicorn import util
from gunicorn.workers.sync import SyncWorker

from trihook.config import Settings
from trihook.host.arbiter import SteadyApplication, SteadyWorker
from trihook.host.scripts.app import create_script_app
from trihook.host.scripts.clients import (
    Client,
    PatientClient,
    SilentClients,
    accept,
    has_asked,
)
from trihook.host.scripts.health import answer_health
from trihook.host.scripts.script import ScriptError, load_script
from trihook.host.scripts.settings import ScriptSettings
from trihook.host.server import check_address, format_address

EXIT_BROKEN_SCRIPT = 3

_LOG = logging.getLogger(__name__)


def serve_script(settings: Settings, script: ScriptSettings) -> None:
    """Serve until a signal ends it; exits with status 3 if the script cannot be served.

    ``settings`` gives the address and how workers end. Raises :class:`trihook.ConfigError` if
    an address cannot be listened at.
    """
    for port in {settings.port, script.health_port or settings.port}:
        check_address(settings.host, port)
    os.environ["AML_APP_ROOT"] = str(script.app_root)
    os.environ["AZUREML_ENTRY_SCRIPT"] = str(script.entry_script)
    if script.model_dir:
        os.environ["AZUREML_MODEL_DIR"] = script.model_dir
    if isinstance(sys.stdout, io.TextIOWrapper):  # what a script prints belongs to the log
        sys.stdout.reconfigure(line_buffering=True)
    _ScriptServer(settings, script).run()


class ScriptWorker(SteadyWorker, SyncWorker):  # type: ignore[misc]  # gunicorn ships no types
    """A worker whose main thread loads the script and then runs it, request by request.

    So scripts may rely on their thread, and a timer can interrupt them. Where there is a health
    port, another thread answers there. A connection over which nothing comes holds up nobody.
    """

    def run(self) -> None:
        """Serve until told to end."""
        if len(self.sockets) > 1:
            answer_health(self.sockets.pop().sock)
        self._listening = [*self.sockets, self.PIPE[0]]
        self._silent = SilentClients()
        try:
            super().run()
        finally:
            self._silent.close()

    def accept(self, listener: Any) -> None:
        """Take a connection, and serve it if it asks something at once."""
        client = accept(listener)
        util.close_on_exec(client.sock)
        if has_asked(client):
            self._serve(client)
        else:
            self._silent.add(client)

    def wait(self, timeout: float) -> list[Any]:
        """Wait until there is something to do, and serve whoever has sent something."""
        self.wait_fds = [*self._listening, *self._silent]
        ready = super().wait(timeout) or []
        for client in self._silent.take(ready):
            self._serve(client)
        return [each for each in ready if each in self._listening]

    def _serve(self, client: Client) -> None:
        self.notify()
        self.handle(self.sockets[0], PatientClient(client.sock), client.address)


class _ScriptServer(SteadyApplication):
    """Gunicorn, configured by our settings alone."""

    def __init__(self, settings: Settings, script: ScriptSettings) -> None:
        self._settings = settings
        self._script = script
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from Gunicorn's defaults."""
        settings, script = self._settings, self._script
        bind = [format_address(settings.host, settings.port)]
        if script.health_port and script.health_port != settings.port:
            bind.append(format_address(settings.host, script.health_port))
        options: dict[str, Any] = {
            "bind": bind,
            "workers": script.workers or settings.workers,
            "worker_class": ScriptWorker,
            "timeout": script.worker_timeout,
            "graceful_timeout": math.ceil(settings.graceful_timeout),
            "preload_app": script.preload,
            "proc_name": "trihook",
            # one socket per user, shared by all instances, which nothing here needs
            "control_socket_disable": True,
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        """Load the script, in the process that will run it."""
        try:
            script = load_script(self._script)
            return create_script_app(script, self._script)
        except ScriptError as exc:
            _LOG.error("%s", exc, exc_info=exc.__cause__)
            sys.exit(EXIT_BROKEN_SCRIPT)
