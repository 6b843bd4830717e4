"""Every error that trihook raises on purpose, as one tree.

::

    TrihookError
    ├── ConfigError                  a setting is unknown or has a value it cannot have
    ├── PluginError                  an installed plugin cannot be loaded or used
    ├── RepositoryError              a model repository's layout is not one that Triton can load
    ├── LocalTritonError             the embedded Triton cannot be started or has died
    ├── RegistryError                a model cannot be registered, found or deleted
    ├── DeploymentError              a local service cannot be deployed, reached or changed
    ├── MisfitError                  an array does not fit the tensor that a model declares
    ├── HostUnreachableError         a client gets no answer from a scoring host
    ├── HostError                    a scoring host answered a client with an error
    └── ScoringError                 one item, or a whole request, has no answer
        ├── RequestError             the caller can mend it
        │   ├── PayloadError             malformed, undecodable or of the wrong type
        │   ├── PayloadTooLargeError     the body, a picture or a text is over its limit
        │   ├── UnsupportedMediaTypeError   no plugin takes this media type
        │   ├── UnknownModelError        no such model, or none chosen
        │   └── UnauthorizedError        the caller holds none of the host's keys
        ├── HookError                a plugin raised
        │   └── HookResultError          a plugin returned what it must not
        ├── TritonError              Triton answered with an error of its own, or with nonsense
        ├── UnavailableError         nobody can answer now: try again later
        │   ├── TritonUnavailableError   Triton is unreachable or the model is not ready
        │   │   └── TritonLostError          the connection broke; the inference may have run
        │   └── OverloadedError          the host has as much work as it accepts
        └── DeadlineError            Triton or a plugin was too slow

A :class:`ScoringError` says at which stage it arose and which plugin is to blame. Its message is
for the caller: it never holds a path, a traceback or the text of a library. What a maintainer
needs to know beyond that is its ``__cause__``, which the host logs once.

Plugins raise :class:`PayloadError`, :class:`PayloadTooLargeError` or
:class:`UnsupportedMediaTypeError` to refuse an item; what leaves a hook and is no
:class:`ScoringError` is the plugin's own fault and becomes a :class:`HookError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self

_MAX_MESSAGE = 4096  # characters


class TrihookError(Exception):
    """Base of every error that trihook raises on purpose."""


class ConfigError(TrihookError):
    """A setting is unknown or has a value it cannot have."""


class PluginError(TrihookError):
    """An installed plugin cannot be loaded or used; the message names its distribution."""


class RepositoryError(TrihookError):
    """A model repository's layout is not one that Triton can load; the message names the path."""


class LocalTritonError(TrihookError):
    """The embedded Triton cannot be started here, or ended by itself."""


class RegistryError(TrihookError):
    """A model cannot be registered, or a registered one cannot be found, used or deleted."""


class DeploymentError(TrihookError):
    """A local service cannot be deployed, found or changed; the message says which part failed."""


class MisfitError(TrihookError):
    """An array does not fit the tensor that a model declares; the message names both."""


class HostUnreachableError(TrihookError):
    """A client gets no answer from a scoring host."""


class HostError(TrihookError):
    """A scoring host answered a client with an error.

    ``status`` is the HTTP status; the rest is what the host said, ``""`` where it did not.
    ``value`` is all that it said: parsed JSON, or bytes.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        stage: str = "",
        plugin: str = "",
        request_id: str = "",
        value: Any = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.value = value
        self.status = status
        self.code = code
        self.stage = stage
        self.plugin = plugin
        self.request_id = request_id


class ScoringError(TrihookError):
    """One item, or a whole request, has no answer.

    ``stage`` is where it happened: ``request``, ``select_model``, ``preprocess``,
    ``infer`` or ``postprocess``. ``plugin`` is the name of the plugin to blame, or ``""``.
    A message that quotes what a caller sent without end is cut after 4,096 characters.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, stage: str = "", plugin: str = "") -> None:
        if len(message) > _MAX_MESSAGE:
            message = f"{message[:_MAX_MESSAGE]}…"
        if not message.isascii():  # half a surrogate pair would not go into a reply
            message = message.encode(errors="backslashreplace").decode()
        super().__init__(message)
        self.message = message
        self.stage = stage
        self.plugin = plugin

    def at(self, stage: str, plugin: str = "") -> Self:
        """Fill in the stage and plugin where they are still unknown, and return the error."""
        self.stage = self.stage or stage
        self.plugin = self.plugin or plugin
        return self


class RequestError(ScoringError):
    """The request cannot be scored as it stands; the caller can mend it."""

    code = "bad_request"


class PayloadError(RequestError):
    """The body or an item in it is malformed, undecodable or of the wrong type."""

    code = "bad_payload"


class PayloadTooLargeError(RequestError):
    """The body, or something in it such as a picture, is over its limit."""

    code = "payload_too_large"


class UnsupportedMediaTypeError(RequestError):
    """No installed plugin takes this media type for the chosen model."""

    code = "unsupported_media_type"


class UnknownModelError(RequestError):
    """No such model is loaded, or the request leaves open which one is meant."""

    code = "unknown_model"


class UnauthorizedError(RequestError):
    """The host wants a key, and the request holds none that it knows."""

    code = "unauthorized"


class HookError(ScoringError):
    """A plugin raised something other than a :class:`RequestError`."""

    code = "plugin_failed"


class HookResultError(HookError):
    """A plugin returned what the hook does not allow or the model does not declare."""

    code = "plugin_result"


class TritonError(ScoringError):
    """Triton answered with an error of its own, or with something that is no valid answer."""

    code = "triton_error"


class UnavailableError(ScoringError):
    """Nobody can answer now; the same request may succeed after ``retry_after`` seconds.

    Nothing was begun, so it may be sent again, unless ``retry_after`` is 0 or the stage is
    ``postprocess``.
    """

    code = "unavailable"
    retry_after: ClassVar[int] = 1


class TritonUnavailableError(UnavailableError):
    """Triton is unreachable, or the model is not ready."""

    code = "triton_unavailable"


class TritonLostError(TritonUnavailableError):
    """The connection to Triton broke before the answer came: the inference may have run."""

    code = "triton_lost"
    retry_after: ClassVar[int] = 0


class OverloadedError(UnavailableError):
    """The host has as much work as it accepts."""

    code = "overloaded"


class DeadlineError(ScoringError):
    """Triton or a plugin did not answer in the time the request has."""

    code = "deadline_exceeded"


def describe_os_error(exc: OSError) -> str:
    """Say in few words why, and at which file: ``no space left on device: /tmp/x``.

    Of :class:`shutil.Error`, which is several, the first is told.
    """
    if exc.strerror is None:
        listed = exc.args and isinstance(exc.args[0], list) and exc.args[0]
        return str(listed[0][-1]) if listed else str(exc)
    where = f": {exc.filename}" if exc.filename else ""
    return f"{exc.strerror.lower()}{where}"
