"""What became of a request and of each of its items."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trihook.errors import ScoringError
from trihook.triton.inputs import Inputs
from trihook.types import Item, Model, ModelRef, Reply


@dataclass(slots=True)
class Scored:
    """What became of one item: a reply with its body, or an error.

    ``preprocessed_by`` and ``postprocessed_by`` name the plugins that answered; ``inputs`` and
    ``outputs`` are the tensors that went to Triton and came back.
    """

    item: Item
    reply: Reply | None = None
    body: bytes = b""
    error: ScoringError | None = None
    preprocessed_by: str = ""
    postprocessed_by: str = ""
    inputs: Inputs | None = None
    outputs: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Progress:
    """How far a request has come: the model found for it, and wall-clock seconds by stage."""

    model: Model | None = None
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request: its items in order, who chose the model and why, and how long.

    ``seconds`` are wall-clock seconds by stage.
    """

    model: Model
    ref: ModelRef
    selected_by: str
    scored: tuple[Scored, ...]
    seconds: dict[str, float]
