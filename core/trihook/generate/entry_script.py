"""Write ``score.py``: an entry script with its settings as plain Python literals."""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path
from typing import Any

from trihook.config import Settings
from trihook.errors import ConfigError

_TEMPLATE = '''\
"""Score with trihook: the entry script of a deployment on Azure Machine Learning.

Written by "trihook generate entry-script", which overwrites it only while it is unedited.
TRIHOOK_* variables override the settings.
"""

from azureml.contrib.services.aml_request import rawhttp
from trihook.host.entry import Entry

SETTINGS = {settings}


def init():
    """Load the plugins; Triton may start later."""
    global entry
    entry = Entry(SETTINGS)


@rawhttp
def run(request):
    """Answer a request: JSON, a multipart form or a raw body."""
    return entry.run(request)
'''
_SEAL = "\n\n# as generated: sha256 "
# the rest of the host's settings is no matter of an entry script's
_NOT_WRITTEN = frozenset({"home", "host", "port", "workers", "keys", "metrics", "graceful_timeout"})
_LINE = 99


def render_entry_script(settings: Settings) -> str:
    """Return the text of an entry script; the same settings always give the same text.

    Triton's address and what differs from the defaults is written out.
    """
    chosen = settings.model_dump(exclude_defaults=True, exclude=set(_NOT_WRITTEN))
    chosen = {"triton_url": settings.triton_url, **chosen}
    return _seal(_TEMPLATE.replace("{settings}", format_literal(chosen)))


def write_entry_script(text: str, path: Path, *, force: bool = False) -> bool:
    """Write a rendered entry script as a whole, and return whether the file has changed.

    Raises :class:`trihook.ConfigError`, unless told to ``force``, if the file exists and is
    not as it was once generated, or if it cannot be written.
    """
    try:
        before = path.read_bytes() if path.exists() else None
        if before == text.encode():
            return False
        if before is not None and not force and not is_as_generated(before):
            raise ConfigError(
                f"{path} is edited, or not generated: choose another with --output, "
                "or overwrite it with --force"
            )
        _replace(path, text)
    except OSError as exc:
        raise ConfigError(f"{path} cannot be written: {exc.strerror}") from exc
    return True


def is_as_generated(content: bytes) -> bool:
    """Tell whether a file is what some version of this module wrote."""
    text, seal, _ = content.decode("utf-8", "replace").rpartition(_SEAL)
    return bool(seal) and _seal(text).encode() == content


def format_literal(value: Any, indent: int = 0) -> str:
    """Return a value as a Python literal, an entry a line where it does not fit on one."""
    flat = _flat(value)
    if not isinstance(value, (dict, list, tuple)) or not value:
        return flat
    if isinstance(value, (list, tuple)) and indent + len(flat) < _LINE:
        return flat
    inner = " " * (indent + 4)
    if isinstance(value, dict):
        entries = [f"{_flat(key)}: {format_literal(v, indent + 4)}" for key, v in value.items()]
        opening, closing = "{}"
    else:
        entries = [format_literal(each, indent + 4) for each in value]
        opening, closing = "[]"
    lines = "".join(f"{inner}{entry},\n" for entry in entries)
    return f"{opening}\n{lines}{' ' * indent}{closing}"


def _flat(value: Any) -> str:
    """Return the literal on one line: strings as formatters write them, tuples as lists."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_flat(key)}: {_flat(each)}' for key, each in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_flat, value))}]"
    if isinstance(value, str) and '"' not in value:
        # a leading apostrophe makes repr choose double quotes
        return '"' + repr("'" + value)[2:]
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def _seal(text: str) -> str:
    return f"{text}{_SEAL}{hashlib.sha256(text.encode()).hexdigest()}\n"


def _replace(path: Path, text: str) -> None:
    """Put a whole file in the place of what is there."""
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.write_text(text, "utf-8")
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
