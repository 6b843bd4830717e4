"""trihook puts plugins around NVIDIA Triton: pre- and post-processing for scoring requests.

What stands in ``__all__`` is what plugin authors import, and is stable within a major version.
"""

from trihook.errors import (
    ConfigError,
    DeadlineError,
    HookError,
    HookResultError,
    LocalTritonError,
    MisfitError,
    OverloadedError,
    PayloadError,
    PayloadTooLargeError,
    PluginError,
    RepositoryError,
    RequestError,
    ScoringError,
    TrihookError,
    TritonError,
    TritonUnavailableError,
    UnavailableError,
    UnknownModelError,
    UnsupportedMediaTypeError,
)
from trihook.hookspecs import hookimpl
from trihook.types import (
    Inference,
    Item,
    Model,
    ModelRef,
    Reply,
    RequestedOutput,
    ScoringRequest,
    TensorSpec,
)

__all__ = [
    "ConfigError",
    "DeadlineError",
    "HookError",
    "HookResultError",
    "Inference",
    "Item",
    "LocalTritonError",
    "MisfitError",
    "Model",
    "ModelRef",
    "OverloadedError",
    "PayloadError",
    "PayloadTooLargeError",
    "PluginError",
    "Reply",
    "RepositoryError",
    "RequestError",
    "RequestedOutput",
    "ScoringError",
    "ScoringRequest",
    "TensorSpec",
    "TrihookError",
    "TritonError",
    "TritonUnavailableError",
    "UnavailableError",
    "UnknownModelError",
    "UnsupportedMediaTypeError",
    "hookimpl",
]
