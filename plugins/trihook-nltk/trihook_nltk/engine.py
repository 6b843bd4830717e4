"""NLTK's two tokenizers, imported without the rest of NLTK.

``import nltk`` runs all of NLTK and, where they are installed, scipy and scikit-learn: 17 MB in
every worker, 70 MB and a second with scipy, where the tokenizers alone take 4 MB. So the packages
``nltk`` and ``nltk.tokenize`` stand in ``sys.modules`` unexecuted while their tokenizer modules
are imported, and are taken out again: a later ``import nltk`` elsewhere gets the whole of it, as
ever. Where NLTK is imported already, or needs more than that, it is imported the usual way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType

_PACKAGES = ("nltk", "nltk.tokenize")
_MODULES = ("nltk.tokenize.destructive", "nltk.tokenize.punkt")


def import_tokenizers() -> tuple[ModuleType, ModuleType]:
    """Import NLTK's word tokenizer module and its Punkt module."""
    if "nltk" not in sys.modules:
        try:
            with _bare_packages():
                return _import_modules()
        except ImportError:
            # a release of NLTK whose tokenizers want their packages executed
            pass
    return _import_modules()


def _import_modules() -> tuple[ModuleType, ModuleType]:
    destructive, punkt = (import_module(name) for name in _MODULES)
    return destructive, punkt


@contextmanager
def _bare_packages() -> Iterator[None]:
    before = set(sys.modules)
    try:
        for name in _PACKAGES:
            spec = find_spec(name)
            if spec is None:
                raise ModuleNotFoundError(f"no module named {name!r}", name=name)
            sys.modules[name] = module_from_spec(spec)
        yield
    finally:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "nltk":
                del sys.modules[name]


destructive, punkt = import_tokenizers()
