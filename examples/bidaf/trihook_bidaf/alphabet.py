"""The characters that the stand-in model tells apart, by number."""

from __future__ import annotations

import string
import unicodedata

WIDTH = 16
PAD, OTHER, FIRST = 0, 1, 2
UPPER, LOWER, DIGIT, MARK = 1, 2, 3, 4

_PLAIN = string.ascii_lowercase + string.digits + string.punctuation
_ACCENTED = "".join(map(chr, range(0xC0, 0x180)))


def letters() -> dict[str, int]:
    """Number the characters, letters without regard to case and accents."""
    table = {"": PAD} | {character: FIRST + i for i, character in enumerate(_PLAIN)}
    for character in string.ascii_uppercase + _ACCENTED:
        base = unicodedata.normalize("NFD", character.lower())[0]
        if base in table:
            table[character] = table[base]
    return table


def types() -> dict[str, int]:
    """Number the characters by what they are: upper case, lower case, digits; all else is MARK."""
    table = {"": PAD} | dict.fromkeys(string.digits, DIGIT)
    for character in string.ascii_letters + _ACCENTED:
        table[character] = UPPER if character.isupper() else LOWER
    return table


def letter_count() -> int:
    """Count the numbers that :func:`letters` gives, with PAD and OTHER."""
    return FIRST + len(_PLAIN)


def position_weights() -> list[int]:
    """Give one odd number a position, so that weighted sums of letters tell prefixes apart."""
    weights, state = [], 1
    for _ in range(WIDTH):
        state = state * 48271 % 2147483647  # the minimal standard generator of Park and Miller
        weights.append(state | 1)
    return weights
