"""The kinds of values that settings have, beyond those of pydantic."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr


def _check_option(value: object) -> object:
    """Refuse what no option can be in one line, where a union has one for each type."""
    if not isinstance(value, bool | int | float | str | list | dict):
        problem = "expected a boolean, number, string, list or table"
        raise ValueError(problem)  # noqa: TRY004 - pydantic takes no TypeError
    return value


OptionValue: TypeAlias = Annotated[
    bool | int | float | str | list[Any] | dict[str, Any], BeforeValidator(_check_option)
]


def _split(value: object) -> object:
    """Take ``a,b`` for a list of two, as environment variables write it."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_split)]


def _check_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for key in keys:
        if not re.fullmatch(r"[\x21-\x7e]{16,}", key.get_secret_value()):
            raise ValueError("expected keys of 16 or more printable ASCII characters, no spaces")
    return keys


Keys: TypeAlias = Annotated[
    tuple[SecretStr, ...], BeforeValidator(_split), AfterValidator(_check_keys)
]


def _check_address(value: str) -> str:
    parts = urlsplit(value if "://" in value else f"http://{value}")
    try:
        is_address = (
            parts.scheme in ("http", "https")
            and parts.hostname
            and parts.port != 0
            and not (parts.query or parts.fragment or re.search(r"\s", value))
        )
    except ValueError:  # the port is no number, or too large a one
        is_address = False
    if not is_address:
        raise ValueError("expected HOST:PORT, with http:// or https:// before it if you like")
    return value


Address: TypeAlias = Annotated[str, AfterValidator(_check_address)]


def _refuse_boolean(value: object) -> object:
    """Refuse true, which pydantic takes for 1."""
    if isinstance(value, bool):
        problem = "expected a number"
        raise ValueError(problem)  # noqa: TRY004 - pydantic takes no TypeError
    return value


Integer: TypeAlias = Annotated[int, BeforeValidator(_refuse_boolean)]
Seconds: TypeAlias = Annotated[float, BeforeValidator(_refuse_boolean)]
