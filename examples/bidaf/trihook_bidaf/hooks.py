"""The plugin: from the positions of the first and last word to the answer as it was written.

It takes models with outputs ``start_pos`` and ``end_pos``, and items for which the plugin
``trihook-nltk`` left the text and the words of ``context`` in ``item.state``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from trihook import hookimpl

if TYPE_CHECKING:
    from trihook import Item, Model, ScoringRequest
    from trihook.types import Outputs
    from trihook_nltk import Token

_OUTPUTS = ("start_pos", "end_pos")
_QUICK_BELOW = 256  # the positions of 31 answers, which take 0.3 ms if they are short
_SHORT = 16 * 1024  # of a body's bytes: the longest answer has fewer words, and takes 0.3 ms


def finds_answers(model: Model) -> bool:
    """Tell whether the model gives the positions of an answer."""
    return all(model.output(name) is not None for name in _OUTPUTS)


def has_short_texts(request: ScoringRequest) -> bool:
    """Tell whether no text of the request can hold an answer so long that it takes its time."""
    return request.size < _SHORT


@hookimpl(models=finds_answers, quick_below=_QUICK_BELOW, quick_for=has_short_texts)
def postprocess(outputs: Outputs, item: Item, model: Model) -> dict[str, Any] | None:
    """Cut the answer from the context: ``{"answer", "start", "end", "words"}``.

    ``start`` and ``end`` (exclusive) count characters of the context, so that
    ``context[start:end] == answer``; ``words`` are the answer's words. Positions outside the
    context or an end before the start are no answer: the reply is then the empty answer,
    ``""`` at 0 with no words, as a model that finds nothing would give it.
    """
    if not finds_answers(model):
        return None
    text, tokens = item.state.get("context_text"), item.state.get("context_tokens")
    if text is None or tokens is None:
        return None
    first, last = (int(np.asarray(outputs[name]).reshape(-1)[0]) for name in _OUTPUTS)
    return _answer(text, tokens, first, last)


def _answer(text: str, tokens: Sequence[Token], first: int, last: int) -> dict[str, Any]:
    if not 0 <= first <= last < len(tokens):
        return {"answer": "", "start": 0, "end": 0, "words": []}
    start, end = tokens[first].start, tokens[last].end
    words = [token.text for token in tokens[first : last + 1]]
    return {"answer": text[start:end], "start": start, "end": end, "words": words}
