"""A JPEG picture in, its best label out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from trihook_densenet.labels import read_labels
from trihook_densenet.ranking import rank
from trihook_pillow import Options, Target, parse_options, prepare

from work.works import Outputs, Tensors, Work


def _prepare(picture: bytes, *, target: Target, options: Options) -> tuple[Tensors, None]:
    tensor = prepare(picture, target, options)
    return {target.input: tensor[None] if target.leading else tensor}, None


def _answer(outputs: Outputs, _state: None, *, output: str) -> dict[str, object]:
    [best] = rank(outputs[output], 1)
    return {"label": read_labels()[best.index], "index": best.index, "score": best.score}


def _classifier(
    name: str, model: str, target: Target, output: str, options: Mapping[str, object]
) -> Work:
    return Work(
        name=name,
        model=model,
        datatypes={target.input: "FP32"},
        outputs=(output,),
        batched=not target.leading,
        raw=True,
        prepare=partial(_prepare, target=target, options=parse_options(options, target)),
        answer=partial(_answer, output=output),
    )


EFFICIENTNET = _classifier(
    "efficientnet",
    "efficientnet_lite0",
    Target("images", "FP32", "NCHW", 3, 224, 224),
    "probabilities",
    {"scaling": "NONE", "mean": "127", "std": "128"},
)
DENSENET = _classifier(
    "densenet",
    "densenet_onnx",
    Target("data_0", "FP32", "NCHW", 3, 224, 224, leading=True),
    "fc6_1",
    {},
)
