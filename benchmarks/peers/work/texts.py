"""A text and a question in, the answer as the text has it out."""

from __future__ import annotations

from collections.abc import Mapping

from trihook import TensorSpec
from trihook_nltk import Token, tokenize
from trihook_nltk.fields import TextField

from work.works import Outputs, Tensors, Work


def _field(name: str) -> TextField:
    return TextField(
        name,
        TensorSpec(f"{name}_word", "BYTES", (-1, 1)),
        TensorSpec(f"{name}_char", "BYTES", (-1, 1, 1, 16)),
    )


_CONTEXT, _QUERY = _field("context"), _field("query")


def _prepare(texts: Mapping[str, str]) -> tuple[Tensors, tuple[str, tuple[Token, ...]]]:
    context, query = tokenize(texts["context"]), tokenize(texts["query"])
    tensors = _CONTEXT.tensors(context, lower=True) | _QUERY.tensors(query, lower=True)
    return tensors, (texts["context"], context)


def _answer(outputs: Outputs, state: tuple[str, tuple[Token, ...]]) -> dict[str, object]:
    text, tokens = state
    first, last = (int(outputs[name].ravel()[0]) for name in ("start_pos", "end_pos"))
    start, end = tokens[first].start, tokens[last].end
    words = [token.text for token in tokens[first : last + 1]]
    return {"answer": text[start:end], "start": start, "end": end, "words": words}


BIDAF = Work(
    name="bidaf",
    model="bidaf_onnx",
    datatypes={
        f"{field}_{kind}": "BYTES" for field in ("context", "query") for kind in ("word", "char")
    },
    outputs=("start_pos", "end_pos"),
    batched=False,
    raw=False,
    prepare=_prepare,
    answer=_answer,
)
