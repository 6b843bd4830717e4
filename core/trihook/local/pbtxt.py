"""The few fields of a ``config.pbtxt`` that say which file a model is in."""

from __future__ import annotations

import re

# one token of protobuf's text format, as far as telling nesting from strings needs it
_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<open>[{<\[]) | (?P<close>[}>\]])
      | (?P<name>[A-Za-z_]\w*)
    """,
    re.VERBOSE,
)


def top_level_strings(text: str) -> dict[str, str]:
    """Return the string fields of a text-format message that stand outside every block.

    Escapes are left as they are. Text that is no valid message gives what can be told of it.
    """
    fields: dict[str, str] = {}
    depth, name = 0, ""
    for token in _TOKEN.finditer(text):
        depth += {"open": 1, "close": -1}.get(token.lastgroup or "", 0)
        if token["name"] and depth == 0:
            name = token["name"]
        elif token["string"] and depth == 0 and name:
            fields[name] = token["string"][1:-1]
            name = ""
    return fields
