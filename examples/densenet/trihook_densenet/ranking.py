"""From a classifier's thousand values to its best classes: arrays in, values out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Activation: TypeAlias = Literal["auto", "softmax", "none"]

_ENTRY = re.compile(
    r"(?P<score>-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?):(?P<index>[0-9]+)(:(?P<label>.*))?", re.DOTALL
)
_DISTRIBUTION_ERROR = 1e-3  # what a thousand probabilities in FP16 may miss 1 by


@dataclass(frozen=True, slots=True)
class Score:
    """A class by its index, its score, and its label where the model's answer already has it."""

    index: int
    score: float
    label: str = ""


def rank(values: NDArray[Any], top: int, activation: Activation = "auto") -> list[Score]:
    """Return the ``top`` highest scores, best first; equal ones in the order of their indices.

    ``values`` are the model's output in any shape, one value a class. With ``softmax`` they are
    logits; with ``none`` scores as they stand; with ``auto`` they are scores if they form a
    distribution already (none below 0, their sum within 0.001 of 1), else logits. Raises
    ``ValueError`` if one is not finite.
    """
    flat = values.astype(np.float64).ravel()
    if not np.isfinite(flat).all():
        raise ValueError("a score is not finite")
    if activation == "softmax" or (activation == "auto" and not _is_distribution(flat)):
        flat = _softmax(flat)
    least = np.partition(flat, -top)[-top] if 0 < top < len(flat) else -np.inf
    among = np.flatnonzero(flat >= least)  # to sort them all takes longer than all the rest
    best = among[np.argsort(-flat[among], kind="stable")][:top]
    return [Score(int(index), float(flat[index])) for index in best]


def read_classification(entries: NDArray[Any], top: int) -> list[Score]:
    """Return the ``top`` first of Triton's own classification, which is best first.

    ``entries`` are ``bytes``, ``score:index`` or ``score:index:label`` (Triton's classification
    extension of the inference protocol). Raises ``ValueError`` for anything else.
    """
    return [_read_entry(entry) for entry in entries.ravel()[:top]]


def _read_entry(entry: bytes) -> Score:
    match = _ENTRY.fullmatch(entry.decode(errors="replace"))
    if match is None:
        raise ValueError("an entry is not score:index or score:index:label")
    return Score(int(match["index"]), float(match["score"]), match["label"] or "")


def _is_distribution(values: NDArray[np.float64]) -> bool:
    return bool(values.min() >= 0 and abs(values.sum() - 1) <= _DISTRIBUTION_ERROR)


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    powers: NDArray[np.float64] = np.exp(values - values.max())
    powers /= powers.sum()
    return powers
