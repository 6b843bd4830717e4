"""Ask weights questions written by hand: ``evaluate.py WEIGHTS QUESTIONS.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from trihook import Item, Model, TensorSpec
from trihook_bidaf import hooks as bidaf
from trihook_bidaf.graph import build_graph
from trihook_bidaf.rating import rate
from trihook_nltk import hooks as nltk

_DATATYPES = {"tensor(string)": "BYTES", "tensor(int32)": "INT32"}


def describe(value: Any) -> TensorSpec:
    """Describe an input or output of a session as Triton would."""
    shape = tuple(size if isinstance(size, int) else -1 for size in value.shape)
    return TensorSpec(value.name, _DATATYPES[value.type], shape)


def main() -> None:
    """Print each answer that is not exactly right, then the averages."""
    saved = np.load(sys.argv[1])
    graph = build_graph({name: saved[name].astype(np.float32) for name in saved.files})
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    inputs, outputs = (
        tuple(map(describe, values)) for values in (session.get_inputs(), session.get_outputs())
    )
    model = Model("bidaf_onnx", "1", inputs, outputs)
    names = [output.name for output in outputs]
    rates = []
    for page in json.loads(Path(sys.argv[2]).read_text("utf-8")):
        for query, accepted in page["questions"]:
            item = Item({"context": page["context"], "query": query})
            found = session.run(names, nltk.preprocess(item=item, model=model))
            found = dict(zip(names, found, strict=True))
            answer = bidaf.postprocess(outputs=found, item=item, model=model)["answer"]
            rates.append(rate(answer, accepted))
            if rates[-1][0] < 1:
                sys.stdout.write(f"{query} -> {answer!r}, not {accepted[0]!r}\n")
    exact, shared = np.mean(rates, axis=0)
    sys.stdout.write(f"{len(rates)} questions: {exact:.1%} exact, F1 {shared:.1%}\n")


if __name__ == "__main__":
    main()
