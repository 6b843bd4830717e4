"""The works: what is sent, to which model, and what must come back.

The expected answers are computed here, by ONNX Runtime alone, so that no system under test has
a say in what counts as right.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import files
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from PIL import Image, ImageOps
from trihook_densenet.labels import read_labels
from trihook_nltk import tokenize
from trihook_pillow import Target, parse_options, prepare

from trihook_bench.questions import QUESTIONS

Tensors: TypeAlias = "dict[str, np.ndarray[Any, Any]]"

PICTURES = ("chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "astronaut.png")
SIZE = (640, 480)
CHARACTERS = 16
_SCALING = {"scaling": "NONE", "mean": "127", "std": "128"}


@dataclass(frozen=True)
class Case:
    """One request of a work: as a caller sends it, as tensors, and its right answer.

    ``answer`` is the text that a reply must hold; ``outputs`` are the model's, by name. Where there
    is an ``ending``, a reply ends so, from behind the number that answers the nonce.
    """

    body: bytes
    tensors: Tensors
    answer: str
    outputs: Tensors
    ending: str = ""


@dataclass(frozen=True)
class Work:
    """One kind of request, and at how many connections it is measured.

    ``make`` builds its cases from the model repository. A work whose requests carry a
    ``nonce`` has one case, which is a template.
    """

    name: str
    model: str
    media_type: str
    connections: tuple[int, ...]
    make: Callable[[Path], list[Case]]
    nonce: bool = False


def _vector(_repository: Path) -> list[Case]:
    values = np.array([[0.0, 0.5, -1.25, 3.0, 4.5, -5.0, 6.75, 7.0]], np.float32)
    body = json.dumps(values[0].tolist()).encode()
    return [Case(body, {"x": values}, "", {"y": values * 2})]


def _pictures(
    repository: Path, model: str, target: Target, options: Mapping[str, object]
) -> list[Case]:
    infer = _open(repository, model)
    cases = []
    for name in PICTURES:
        body = photograph(name, SIZE)
        tensor = prepare(body, target, parse_options(options, target))[np.newaxis]
        outputs = infer({target.input: tensor})
        best = int(np.argmax(next(iter(outputs.values()))))
        cases.append(Case(body, {target.input: tensor}, read_labels()[best], outputs))
    return cases


def _questions(repository: Path) -> list[Case]:
    infer = _open(repository, "bidaf_onnx")
    cases = []
    for context, query in QUESTIONS:
        tensors = {**_encode("context", context), **_encode("query", query)}
        outputs = infer(tensors)
        first, last = (int(outputs[name][0]) for name in ("start_pos", "end_pos"))
        words = tokenize(context, "english")
        answer = context[words[first].start : words[last].end]
        body = json.dumps({"context": context, "query": query}).encode()
        cases.append(Case(body, tensors, answer, outputs))
    return cases


def _encode(field: str, text: str) -> Tensors:
    words = [token.text for token in tokenize(text, "english")]
    cells = [[*word[:CHARACTERS], *[""] * (CHARACTERS - len(word))] for word in words]
    return {
        f"{field}_word": np.array([[word.lower()] for word in words], object),
        f"{field}_char": np.array(cells, object).reshape(len(words), 1, 1, CHARACTERS),
    }


def photograph(name: str, size: tuple[int, int]) -> bytes:
    """Return one of scikit-image's photographs as a JPEG of this width and height."""
    file = next(f for f in files("scikit-image") or () if f.name == name)
    picture = Image.open(Path(str(file.locate()))).convert("RGB")
    written = io.BytesIO()
    ImageOps.fit(picture, size).save(written, "JPEG", quality=90)
    return written.getvalue()


def _open(repository: Path, model: str) -> Callable[[Tensors], Tensors]:
    path = str(repository / model / "1" / "model.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda tensors: dict(zip(names, session.run(names, tensors), strict=True))


def _picture_target(name: str, *, leading: bool) -> Target:
    return Target(name, "FP32", "NCHW", 3, 224, 224, leading)


_EFFICIENTNET = partial(
    _pictures,
    model="efficientnet_lite0",
    target=_picture_target("images", leading=False),
    options=_SCALING,
)
_DENSENET = partial(
    _pictures,
    model="densenet_onnx",
    target=_picture_target("data_0", leading=True),
    options={},
)

WORKS = {
    work.name: work
    for work in (
        Work("vector", "vector", "application/json", (1, 8, 32), _vector, nonce=True),
        Work("efficientnet", "efficientnet_lite0", "image/jpeg", (16,), _EFFICIENTNET),
        Work("densenet", "densenet_onnx", "image/jpeg", (16,), _DENSENET),
        Work("bidaf", "bidaf_onnx", "application/json", (8,), _questions),
    )
}
