"""Reading the fields of a model configuration that stand outside every block."""

from __future__ import annotations

import pytest
from trihook.local.pbtxt import top_level_strings


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", {}),
        ('name: "m"', {"name": "m"}),
        ("name:'m' backend : \"python\"", {"name": "m", "backend": "python"}),
        ('# name: "no"\nname: "yes"', {"name": "yes"}),
        ('input [ { name: "x" } ] platform: "p"', {"platform": "p"}),
        ('parameters { key: "k" value { string_value: "}" } } name: "m"', {"name": "m"}),
        ('max_batch_size: 8\nname: "m"', {"name": "m"}),
        ('optimization < graph < level: 1 > > name: "m"', {"name": "m"}),
        ('name: "a # b"', {"name": "a # b"}),
    ],
)
def test_top_level_strings_are_found(text: str, fields: dict[str, str]) -> None:
    assert top_level_strings(text) == fields
