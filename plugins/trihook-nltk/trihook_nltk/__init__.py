"""Words with their character offsets, cut from any text by NLTK's tokenizers."""

from trihook_nltk.sentences import LANGUAGES, split_sentences
from trihook_nltk.words import Token, tokenize

__all__ = ["LANGUAGES", "Token", "split_sentences", "tokenize"]
