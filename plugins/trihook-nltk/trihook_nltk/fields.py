"""Which texts a model wants, told from its inputs, and the tensors that words become."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from trihook import Model, TensorSpec

    from trihook_nltk.words import Token

Strings: TypeAlias = "np.ndarray[Any, np.dtype[np.object_]]"

_WORD, _CHAR = "_word", "_char"


@dataclass(frozen=True, slots=True)
class TextField:
    """A text that a model takes as words in one input and, perhaps, characters in another."""

    name: str
    word: TensorSpec
    char: TensorSpec | None = None

    def tensors(self, tokens: Sequence[Token], *, lower: bool) -> dict[str, Strings]:
        """Make the tensors of n words: n strings, and n times the declared width of them.

        Words are lower-cased if ``lower``; characters are those of the words as written, cut
        to the declared width or padded to it with "".
        """
        words = [token.text.lower() if lower else token.text for token in tokens]
        tensors = {self.word.name: _shaped(words, self.word.shape)}
        if self.char is not None:
            width = self.char.shape[-1]
            tensors[self.char.name] = _shaped(_cells(tokens, width), self.char.shape)
        return tensors


def text_fields(model: Model) -> tuple[TextField, ...]:
    """List the texts that a model wants: none if it is not a model of words alone.

    A field is a BYTES input ``<field>_word``, all of whose dimensions are 1 but one of any
    length, with an optional BYTES input ``<field>_char`` that has the width of a word as its
    last dimension besides. A sole input called ``words`` or ``tokens`` is the field ``text``.
    """
    return _text_fields(model.inputs)


@lru_cache
def _text_fields(inputs: tuple[TensorSpec, ...]) -> tuple[TextField, ...]:
    wanted = {spec.name: spec for spec in inputs if not spec.optional}
    if any(spec.datatype != "BYTES" for spec in wanted.values()):
        return ()
    if len(wanted) == 1 and (sole := next(iter(wanted.values()))).name in {"words", "tokens"}:
        return (TextField("text", sole),) if _is_list(sole.shape) else ()
    fields = tuple(
        TextField(name.removesuffix(_WORD), spec, wanted.get(name.removesuffix(_WORD) + _CHAR))
        for name, spec in wanted.items()
        if name.endswith(_WORD) and name != _WORD
    )
    return fields if _covers(fields, wanted.keys()) else ()


def _covers(fields: Sequence[TextField], names: Any) -> bool:
    covered = {spec.name for field in fields for spec in (field.word, field.char) if spec}
    return covered == set(names) and all(
        _is_list(field.word.shape) and (field.char is None or _is_table(field.char.shape))
        for field in fields
    )


def _is_list(shape: tuple[int, ...]) -> bool:
    return shape.count(-1) == 1 and shape.count(1) == len(shape) - 1


def _is_table(shape: tuple[int, ...]) -> bool:
    return len(shape) > 1 and shape[-1] > 0 and _is_list(shape[:-1])


def _cells(tokens: Iterable[Token], width: int) -> list[str]:
    blank = [""] * width
    cells: list[str] = []
    for token in tokens:
        cells += token.text[:width]
        cells += blank[len(token.text) :]
    return cells


def _shaped(strings: list[str], shape: tuple[int, ...]) -> Strings:
    # numpy's own strings lose trailing NULs, which are characters like any other here
    return np.fromiter(strings, np.object_, len(strings)).reshape(shape)
