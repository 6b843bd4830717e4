"""Name what a picture shows: an example of a trihook plugin for picture classifiers."""

from trihook_densenet.plugin import sorts_pictures
from trihook_densenet.ranking import Score, rank, read_classification

__all__ = ["Score", "rank", "read_classification", "sorts_pictures"]
