"""Made-up names, dates, numbers, reasons and things, given by the lines of ``grammar.txt``."""

from __future__ import annotations

import random
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from trihook_bidaf.lexicon import read_lexicon

_HELD_OUT = 6  # every sixth word and template is kept for tests
_REFERENCE = re.compile(r"\{([^}]+)\}")
_STARTS = """b br c ch cl d dr f fl fr g gl gr h j k kl kr l m n p pl pr qu r s sch sh sl st str t
th tr v w y z"""
_VOWELS = "a e i o u ai ea ei ie oo ou y"
_MIDDLES = "b d g k l ll m n nn nd nt p r rr rd rk s ss st t th v z x"
_ENDS = """a e o er en in on us ia au ov ski sen berg ton ville burg land ford field stein mann elli
etti ez i y ham wick dale mark"""


def held_out(text: str) -> bool:
    """Say whether a word or template belongs to the part that is never trained on."""
    return zlib.crc32(text.encode()) % _HELD_OUT == 0


@dataclass(frozen=True)
class Entity:
    """Something to speak of: in full, in short, by pronoun, and by what it is."""

    full: str
    short: str
    pronoun: str
    kind: str

    @property
    def possessive(self) -> str:
        """Give the pronoun for what belongs to it."""
        return {"he": "his", "she": "her", "it": "its", "they": "their"}[self.pronoun]


class Grammar:
    """Gives phrases at random; tests may use all words, training only its own."""

    def __init__(self, rng: random.Random, *, test: bool) -> None:
        self.rng = rng
        self._test = test
        self._lines: dict[str, list[str]] = {}
        self._entities: dict[str, list[tuple[str, str]]] = {}
        self._kinds: dict[str, list[str]] = {}
        lexicon = read_lexicon()
        for word, number in lexicon.kinds.items():
            self._kinds.setdefault(lexicon.names[number - 1], []).append(word)
        for line in Path(__file__).with_name("grammar.txt").read_text("utf-8").splitlines():
            head, _, rest = line.partition(": ")
            if head.startswith("entity "):
                _, kind, *bound = head.split()
                self._entities.setdefault(kind, []).append((" ".join(bound), rest))
            elif rest and not line.startswith("#"):
                self._lines[head] = self._alternatives(rest)

    def give(self, name: str) -> str:
        """Give a phrase of that name."""
        if name.startswith("^"):
            words = self.give(name[1:]).split()
            return " ".join(word[:1].upper() + word[1:] for word in words)
        if name.startswith("@"):
            return self.rng.choice(self._part(self._kinds[name[1:]]))
        if name.startswith("#"):
            low, high = map(int, name.strip("#,").split("-"))
            return f"{self.rng.randint(low, high):{',' if name[1] == ',' else ''}}"
        if name == "Name":
            return self._name().capitalize()
        if name == "nonsense":
            return self._name()
        return self.fill(self.rng.choice(self._lines[name]))

    def fill(self, text: str) -> str:
        """Replace the references in a text."""
        return _REFERENCE.sub(lambda match: self.give(match[1]), text)

    def pair(self, first: str, second: str) -> tuple[str, str]:
        """Give two phrases that stand at the same place in two lines."""
        at = self.rng.randrange(len(self._lines[first]))
        return self._lines[first][at], self._lines[second][at]

    def entity(self, kind: str) -> Entity:
        """Make up something of a kind that frames speak about."""
        bound, text = self.rng.choice(self._entities[kind])
        if bound:
            letter, _, name = bound.partition("=")
            value = self.give(name)
            capital = " ".join(word.capitalize() for word in value.split())
            text = text.replace(f"{{^{letter}}}", capital).replace(f"{{{letter}}}", value)
        full, short, pronoun, noun = (
            self.rng.choice(self._alternatives(part)) for part in text.split(" ; ")
        )
        full = self.fill(full)
        short = full.split()[-1] if short == "{last}" else self.fill(short)
        return Entity(full, short, pronoun, noun)

    def _alternatives(self, text: str) -> list[str]:
        found: list[str] = []
        for part in text.split("|"):
            times = re.match(r"(\d+)\*", part)
            found += [part[times.end() :]] * int(times[1]) if times else [part]
        return self._part(found)

    def _part(self, words: list[str]) -> list[str]:
        if self._test or any("{" in word for word in words):
            return words
        return [word for word in words if not held_out(word)] or words

    def _name(self) -> str:
        rng = self.rng
        middles = "".join(
            rng.choice(_VOWELS.split()) + rng.choice(_MIDDLES.split())
            for _ in range(rng.choice((1, 1, 2)))
        )
        start = rng.choice([*_STARTS.split(), "", "", "", ""])
        return start + middles + rng.choice([*_ENDS.split(), *[""] * 8])
