"""What can be said and asked: frames, as ``frames.txt`` and ``verbs.txt`` give them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from trihook_bidaf.lexicon import read_lexicon

_HERE = Path(__file__).parent
_LEXICON = read_lexicon()
_FUNCTION_KINDS = """who whose what which when where why how the a that this it person_pronoun they
possessive possessive_s be have do modal of in on at by for to from with as into and or comma
full_stop open_bracket close_bracket quote also"""


@dataclass(frozen=True)
class Frame:
    """What is said about one kind of thing: slots, statements, and questions by slot."""

    main: str
    slots: dict[str, str]
    statements: list[str] = field(default_factory=list)
    questions: list[tuple[str, str]] = field(default_factory=list)


def fact_frames() -> list[Frame]:
    """Read the frames of facts."""
    frames: list[Frame] = []
    for line in _lines("frames.txt"):
        if line.startswith("frame "):
            _, main, *slots = line.split()
            frames.append(Frame(main, _slots(slots)))
        else:
            _add(frames[-1], line)
    return frames


def verb_frames() -> list[Frame]:
    """Make a frame for each verb, and each kind of thing that it goes with."""
    frames: list[Frame] = []
    mains: list[str] = []
    for line in _lines("verbs.txt"):
        if line.startswith("verbs "):
            words = line.split()[1:]
            mains = [word for word in words if "=" not in word]
            part = Frame("", _slots([word for word in words if "=" in word]))
        elif line.startswith("= "):
            forms = dict(zip("BDSV", line[2:].split(), strict=True))
            said = [_conjugate(text, forms) for text in part.statements]
            asked = [(slot, _conjugate(text, forms)) for slot, text in part.questions]
            frames += [replace(part, main=main, statements=said, questions=asked) for main in mains]
        else:
            _add(part, line)
    return frames


def _lines(name: str) -> list[str]:
    lines = (_HERE / name).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _slots(words: list[str]) -> dict[str, str]:
    return {letter: kind for letter, _, kind in (word.partition("=") for word in words)}


def _add(frame: Frame, line: str) -> None:
    if line.startswith("+ "):
        frame.statements.append(line[2:])
    else:
        slot, _, question = line.partition("? ")
        frame.questions.append((slot, question))


def _conjugate(template: str, forms: dict[str, str]) -> str:
    # a lone letter outside braces and brackets is a form of the verb
    parts = re.split(r"(\{\w+\}|\[[^]]*\])", template)
    return "".join(
        part if part[:1] in {"{", "["} else re.sub(r"\b[BDSV]\b", lambda m: forms[m[0]], part)
        for part in parts
    )


@cache
def _function_kinds() -> frozenset[int]:
    return frozenset(_LEXICON.names.index(name) + 1 for name in _FUNCTION_KINDS.split())


@cache
def meaning(template: str) -> frozenset[str]:
    """Reduce a template to what its own content words mean: groups, else stems."""
    words = re.sub(r"\{\w+\}|\[[^]]*\]", " ", template).split()
    return frozenset(
        f"#{_LEXICON.groups[word]}" if word in _LEXICON.groups else word[:5]
        for word in words
        if _LEXICON.kinds.get(word) not in _function_kinds() and word.isalpha()
    )
