"""What the graph and the training must agree on besides the weights."""

from __future__ import annotations

SPAN = 20  # the most words that an answer can have
QUESTION = 64  # the most words of a question that are read: each is compared with the whole text
REACH = 5  # how many words to either side are near a word
DILATIONS = (1, 2, 4, 8, 1)  # of the convolutions, one a block
SENTENCE_ENDS = ("full_stop", "question_mark", "exclamation_mark")  # kinds of the lexicon
