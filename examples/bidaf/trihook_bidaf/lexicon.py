"""What the stand-in model knows of English words: kinds of words, and words alike in meaning."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Lexicon:
    """Words by number: ``kinds`` from 1 up to ``len(names)``, ``groups`` from 1 up."""

    names: tuple[str, ...]
    kinds: dict[str, int]
    groups: dict[str, int]


def read_lexicon() -> Lexicon:
    """Read the lexicon of this package; where a word stands twice, its first place counts."""
    names: list[str] = []
    kinds: dict[str, int] = {}
    groups: dict[str, int] = {}
    lines = files("trihook_bidaf").joinpath("lexicon.txt").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        head, _, words = line.partition(": ")
        if head.startswith("class "):
            names.append(head.removeprefix("class "))
            _add(kinds, words, len(names))
        elif head == "alike":
            _add(groups, words, number)
    return Lexicon(tuple(names), kinds, groups)


def _add(table: dict[str, int], words: str, number: int) -> None:
    for word in words.split():
        table.setdefault(word, number)
