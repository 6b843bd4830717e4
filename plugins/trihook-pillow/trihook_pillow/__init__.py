"""Turn JPEG, PNG and WEBP pictures into the tensor that a picture model declares."""

from trihook_pillow.decoding import decode
from trihook_pillow.formats import recognise
from trihook_pillow.options import Options, parse_options
from trihook_pillow.target import Target, find_target
from trihook_pillow.transforms import prepare, resize, to_tensor

__all__ = [
    "Options",
    "Target",
    "decode",
    "find_target",
    "parse_options",
    "prepare",
    "recognise",
    "resize",
    "to_tensor",
]
