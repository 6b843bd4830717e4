"""What a generated ``score.py`` calls: a pipeline behind ``init()`` and ``run()``.

It answers as the scoring host does, under any server that runs entry scripts: Azure's
inference server, on threads or greenlets, and our own.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from typing import Any

from flask import Request, Response, g

from trihook.config import settings_of_script
from trihook.errors import ConfigError
from trihook.host.answers import json_answer, to_response
from trihook.host.app import request_id_of
from trihook.host.scoring import Scorer
from trihook.runtime import Runtime, ThreadRuntime
from trihook.service import Service, build_service, load_installed_plugins

_METHODS = "OPTIONS, POST"


class Entry:
    """One process's pipeline, for the requests that its entry script is given.

    ``settings`` are those of ``trihook.toml``; ``TRIHOOK_*`` variables override them, and no
    file is read, so that the current folder has no say. Triton need not run yet.

    Raises :class:`trihook.ConfigError` for a setting that is wrong and
    :class:`trihook.PluginError` for a plugin that cannot be loaded.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings_of_script(settings, os.environ)
        if self._settings.keys:
            raise ConfigError("keys are the scoring host's: an entry script asks for none")
        self._plugins = load_installed_plugins(self._settings)
        self._service = self._build()
        self._process = os.getpid()
        self._rebuilding = threading.Lock()

    def run(self, request: Request) -> Response:
        """Answer one request; errors are responses too.

        May be called from several threads or greenlets at once; how many is for the server
        to say.
        """
        if request.method != "POST":
            return _answer_other_method(request)
        scorer = Scorer(self._service_here())
        return to_response(scorer.answer(request.environ, _id_of(request)))

    def close(self) -> None:
        """End the connections and threads."""
        self._service.close()

    def _service_here(self) -> Service:
        """Return this process's service: threads and connections do not outlive a fork.

        A server that loads the script before it forks its workers calls ``init()`` in the
        parent only.
        """
        with self._rebuilding:
            if self._process != os.getpid():
                self._service = self._build()
                self._process = os.getpid()
            return self._service

    def _build(self) -> Service:
        runtime = _runtime(self._settings.hook_threads)
        return build_service(self._settings, runtime, self._plugins)


def _runtime(hook_threads: int) -> Runtime:
    """Return the runtime for this process: where gevent has patched sockets, greenlets'."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("socket"):
        from trihook.host.greenlets import GeventRuntime  # noqa: PLC0415 - plain threads need none

        return GeventRuntime(hook_threads)
    return ThreadRuntime(hook_threads)


def _id_of(request: Request) -> str:
    """Return the id that the server gave the request, or that the caller did."""
    given = g.get("request_id", "")
    return given if isinstance(given, str) and given else request_id_of(request.environ)


def _answer_other_method(request: Request) -> Response:
    if request.method == "OPTIONS":
        return Response(headers={"Allow": _METHODS})
    body = {
        "message": f"{request.method} {request.path} is not served here",
        "code": "method_not_allowed",
        "stage": "request",
        "plugin": "",
        "request_id": _id_of(request),
    }
    response = to_response(json_answer(body, 405))
    response.headers["Allow"] = _METHODS
    return response
