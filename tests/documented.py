"""The examples of docs/plugins.md, as code."""

from __future__ import annotations

import re
from pathlib import Path

_PAGE = Path(__file__).parent.parent / "docs" / "plugins.md"


def example(name: str) -> str:
    """Return the code block that is marked with this name."""
    block = rf"<!-- example: {name} -->\n```\w+\n(.*?)^```"
    [code] = re.findall(block, _PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(code)
