"""Names and values of header fields, as RFC 9110 allows them (5.1 and 5.5)."""

from __future__ import annotations

import re

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


def is_field_name(text: object) -> bool:
    """Tell whether it is text that may name a field."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def is_field_value(text: object) -> bool:
    """Tell whether it is text that a field may hold."""
    return isinstance(text, str) and _VALUE.fullmatch(text) is not None
