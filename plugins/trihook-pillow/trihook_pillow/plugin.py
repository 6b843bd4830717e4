"""The hooks: pictures for any model whose one input is a picture."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from trihook import Item, Model, hookimpl

from trihook_pillow.options import parse_options
from trihook_pillow.pictures import find_picture
from trihook_pillow.target import find_target
from trihook_pillow.transforms import prepare

if TYPE_CHECKING:
    from numpy.typing import NDArray


def takes_pictures(model: Model) -> bool:
    """Tell whether one of the model's inputs is a picture, and its only one."""
    return find_target(model) is not None


@hookimpl(models=takes_pictures)
def preprocess(item: Item, model: Model) -> dict[str, NDArray[Any]] | None:
    """Turn the item's picture into the model's input; None if either is not about pictures."""
    target = find_target(model)
    if target is None:
        return None
    picture = find_picture(item)
    if picture is None:
        return None
    tensor = prepare(picture, target, parse_options(model.options, target))
    return {target.input: tensor[np.newaxis] if target.leading else tensor}


@hookimpl(models=takes_pictures)
def example(model: Model) -> Item | None:
    """Give a small PNG picture of a colour gradient for a model that takes pictures."""
    if find_target(model) is None:
        return None
    rows, columns = np.mgrid[0:48, 0:64].astype(np.uint8) * 4
    gradient = Image.fromarray(np.dstack([rows, columns, rows[::-1]]))
    file = io.BytesIO()
    gradient.save(file, "PNG")
    return Item(data=file.getvalue(), media_type="image/png", name="gradient.png")
