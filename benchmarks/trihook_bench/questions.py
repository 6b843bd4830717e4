"""Texts and questions on them, of our own."""

from __future__ import annotations

_LIGHTHOUSE = (
    "The lighthouse on the northern cape was built in 1874 by the engineer Marta Lindqvist. "
    "Its lamp was lit with whale oil until 1912, when a small power station was opened in the "
    "village."
)
_BREAD = (
    "Sourdough bread rises because wild yeast in the starter produces carbon dioxide. "
    "The bakery in Lund sells about 300 loaves every morning."
)
_RAILWAY = (
    "The narrow-gauge railway through the valley was opened in 1898 by the engineer Olof Berg. "
    "It carried 40 passengers a day until the road was finished."
)

QUESTIONS = (
    (_LIGHTHOUSE, "Who built the lighthouse?"),
    (_LIGHTHOUSE, "When was the lighthouse built?"),
    (_BREAD, "How many loaves does the bakery sell?"),
    (_RAILWAY, "Who opened the railway?"),
    (_RAILWAY, "When was the railway opened?"),
)
