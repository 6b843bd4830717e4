"""Sentence boundaries, by Punkt: with its trained parameters where installed, else without.

Nothing is ever downloaded, and Punkt's old pickles (CVE-2024-39705) are never opened. Untrained,
Punkt ends a sentence at every full stop but those of the abbreviations below, initials and
numbers before a lower-case word, so it splits more often than NLTK's ``sent_tokenize``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from trihook_nltk.engine import punkt

_PUNKT_LANGUAGES = """
    czech danish dutch english estonian finnish french german greek italian malayalam norwegian
    polish portuguese russian slovene spanish swedish turkish
"""
_ENGLISH_ABBREVIATIONS = """
    a.m adm apr approx aug ave ca capt cf co col corp dec dept dr e.g ed eds esp est etc feb fig
    fr gen gov hon i.e inc jan jr lt ltd maj mar messrs mr mrs ms mt nov oct p.m ph.d pp prof rep
    rev sen sep sept sgt sr st u.k u.n u.s viz vol vs
"""
LANGUAGES = frozenset(_PUNKT_LANGUAGES.split())
_ABBREVIATIONS = {"english": frozenset(_ENGLISH_ABBREVIATIONS.split())}
_FILES = ("abbrev_types.txt", "collocations.tab", "ortho_context.tab", "sent_starters.txt")

# Punkt is fed at most this many characters at a time: it reads on and back around every full
# stop, and NLTK gives up on a text that keeps one regular expression busy for 5 s.
_BLOCK = 16_384


class _Contexts(dict[str, int]):
    """The contexts that words occur in; unlike Punkt's own, it keeps no word it is asked for."""

    def __missing__(self, word: str) -> int:
        return 0


def split_sentences(text: str, language: str = "english") -> Iterator[tuple[int, int]]:
    """Give the start and end (exclusive, in characters) of each sentence of ``text``, in order.

    Blank stretches belong to no sentence. Texts over 16,384 characters are cut there, at white
    space where there is any. Raises ``ValueError`` for a language that is not in ``LANGUAGES``.
    """
    splitter = _splitter(language)
    for start, end in _blocks(text):
        for first, last in splitter.span_tokenize(text[start:end]):
            yield start + first, start + last


def has_split_sentences() -> bool:
    """Tell whether sentences have been split before, which the first time reads files."""
    return _splitter.cache_info().currsize > 0


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while len(text) - start > _BLOCK:
        limit = start + _BLOCK
        cut = max(text.rfind(space, start + 1, limit) for space in " \n\t")
        end = cut if cut > start else limit
        yield start, end
        start = end
    yield start, len(text)


@cache
def _splitter(language: str) -> Any:
    if language not in LANGUAGES:
        raise ValueError(
            f"unknown language {language!r}, expected one of {', '.join(sorted(LANGUAGES))}"
        )
    parameters = punkt.PunktParameters()
    parameters.ortho_context = _Contexts()
    folder = find_parameters(language)
    if folder is None:
        parameters.abbrev_types = set(_ABBREVIATIONS.get(language, ()))
    else:
        _read_parameters(folder, parameters)
    return punkt.PunktSentenceTokenizer(parameters)


def find_parameters(language: str) -> Path | None:
    """Find the folder of Punkt's trained parameters (``punkt_tab``) for a language, if any.

    Looks where NLTK does: in ``NLTK_DATA``, then in ``nltk_data`` of the home folder, of the
    environment and of the system.
    """
    for data in _data_folders():
        folder = data / "tokenizers" / "punkt_tab" / language
        # unlike Path.is_file, it takes a folder that may not be read for one without the file
        if all(os.path.isfile(folder / name) for name in _FILES):  # noqa: PTH113
            return folder
    return None


def _data_folders() -> Iterator[Path]:
    yield from (Path(name) for name in os.environ.get("NLTK_DATA", "").split(os.pathsep) if name)
    roots = [Path(os.path.expanduser("~")), Path(sys.prefix)]  # noqa: PTH111  (a home may be unknown)
    roots += [Path(sys.prefix, part) for part in ("share", "lib")]
    roots += [Path(f"/usr/{part}") for part in ("share", "local/share", "lib", "local/lib")]
    yield from (root / "nltk_data" for root in roots)


def _read_parameters(folder: Path, parameters: Any) -> None:
    abbreviations, collocations, contexts, starters = (
        _read_lines(folder / name) for name in _FILES
    )
    parameters.abbrev_types = set(abbreviations)
    parameters.collocations = {tuple(line.split("\t")) for line in collocations}
    parameters.sent_starters = set(starters)
    for line in contexts:
        word, _, flags = line.rpartition("\t")
        parameters.ortho_context[word] = int(flags)


def _read_lines(file: Path) -> list[str]:
    # words may hold what str.splitlines takes for the end of a line
    return [line for line in file.read_text(encoding="utf-8").split("\n") if line]
