"""What every peer does to a request and to a model's answer: pure functions, the same for all.

Hosts are compared, not picture or text code: these are the functions of this project's plugins,
called without its host.
"""

from work.pictures import DENSENET, EFFICIENTNET
from work.texts import BIDAF
from work.vectors import VECTOR
from work.works import Work

WORKS = {work.name: work for work in (VECTOR, EFFICIENTNET, DENSENET, BIDAF)}

__all__ = ["WORKS", "Work"]
