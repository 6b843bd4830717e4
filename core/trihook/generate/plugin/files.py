"""The files of a new plugin, from templates."""

from __future__ import annotations

import keyword
import re

from jinja2 import Environment, PackageLoader, StrictUndefined

from trihook.errors import ConfigError

_PREFIX = "trihook-"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_FILES = {  # where each goes, and its template, whose own name is no tool's
    "README.md": "README.md",
    "pyproject.toml": "pyproject.toml",
    "{module}/__init__.py": "plugin.py",
    "{module}/py.typed": "py.typed",
    "tests/test_{module}.py": "test_plugin.py",
}


def render_plugin(name: str, version: str) -> dict[str, bytes]:
    """Return the files of distribution ``trihook-NAME`` by path, whose plugin is ``NAME``.

    ``version`` is that of the trihook which it is written for. Raises
    :class:`trihook.ConfigError` for a name that a plugin cannot have.
    """
    short = name.removeprefix(_PREFIX)
    if not _NAME.fullmatch(short) or short == "core" or keyword.iskeyword(short):
        raise ConfigError(
            f"{name!r} cannot name a plugin: expected lower-case letters, digits and single "
            "dashes, such as plain-text"
        )
    module = f"{_PREFIX}{short}".replace("-", "_")
    environment = Environment(
        loader=PackageLoader("trihook.generate.plugin"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - neither TOML nor Python is HTML
        keep_trailing_newline=True,
    )
    values = {"name": short, "distribution": _PREFIX + short, "module": module, "version": version}
    return {
        path.format(module=module): environment.get_template(f"{template}.jinja")
        .render(values)
        .encode()
        for path, template in _FILES.items()
    }
