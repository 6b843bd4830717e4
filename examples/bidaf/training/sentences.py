"""Statements and questions: templates of frames, filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from frames import Frame
from grammar import Entity, Grammar, held_out

Span = tuple[int, int]


@dataclass
class Statement:
    """A sentence being made: its words, what fills each slot, and where that stands in it."""

    frame: Frame
    template: str
    entity: Entity
    mention: str
    words: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)


class Writer:
    """Fills templates in."""

    def __init__(self, grammar: Grammar, *, test: bool) -> None:
        self._grammar = grammar
        self._rng = grammar.rng
        self._test = test

    def state(self, frame: Frame, entity: Entity, mention: str) -> Statement:
        """State a fact of a frame about an entity, mentioned in full or not."""
        templates = [t for t in frame.statements if self._test or not held_out(t)]
        template = self._rng.choice(templates)
        if mention in {"he", "she"} and not template.startswith("{X}"):
            mention = entity.short
        made = Statement(frame, template, entity, mention)
        made.values["X"] = mention
        self._fill(made, made.template, keep=0.7)
        return made

    def ask(self, statement: Statement, slot: str, template: str) -> list[str]:
        """Ask for what fills a slot of a statement."""
        question = Statement(statement.frame, template, statement.entity, "")
        question.values = dict(statement.values)
        entity, rng = statement.entity, self._rng
        short = entity.short != entity.pronoun and rng.random() < 0.15
        question.values["X"] = entity.short if short else entity.full
        for name, value in statement.values.items():
            if name in {"Y", "Z"} and len(value.split()) == 2 and rng.random() < 0.3:
                question.values[name] = value.split()[1]
        known = re.sub(
            r"\[([^]]*?(\w)[ ]?)\]",
            lambda m: m[0] if m[2] in statement.spans and m[2] != slot else "",
            template,
        )
        self._fill(question, known, keep=0.5)
        return question.words

    def _fill(self, made: Statement, template: str, keep: float) -> None:
        kept = re.sub(r"\[([^]]*)\]", lambda m: self._optional(m[1], keep), template)
        words = kept.split()
        for position, word in enumerate(words):
            if word == "," and not made.words:
                continue
            if word == "'s" and made.words[-1:] == [made.entity.pronoun]:
                made.words[-1] = made.entity.possessive
                continue
            if word.startswith("{"):
                self._put(made, word[1:-1])
            elif word in {"in|on", "in"} and words[position + 1 : position + 2] == ["{T}"]:
                made.words.append(_preposition(self._value(made, "T")))
            else:
                made.words.append(word)
        if made.words[-1] == ",":
            made.words.pop()

    def _optional(self, part: str, keep: float) -> str:
        if self._rng.random() > keep:
            return ""
        *before, slot = part.split()
        return " ".join([*before, f"{{{slot}}}"])

    def _put(self, made: Statement, name: str) -> None:
        value = self._value(made, name).split()
        before, after = self._around(made, name)
        start = len(made.words) + len(before)
        made.spans[name] = (start, start + len(value) - 1)
        made.words += [*before, *value, *after]

    def _around(self, made: Statement, name: str) -> tuple[list[str], list[str]]:
        """Tell a little more about a person that a statement mentions."""
        form = self._rng.random()
        if made.frame.slots.get(name) not in {"person", "maker"} or not made.mention or form > 0.2:
            return [], []
        if form < 0.1:
            return self._grammar.give("introduction").split(), []
        return [], self._grammar.give("apposition").split()

    def _value(self, made: Statement, name: str) -> str:
        if name not in made.values:
            made.values[name] = self._new_value(made, name)
        return made.values[name]

    def _new_value(self, made: Statement, name: str) -> str:
        if name in {"didpast", "didbase"}:
            made.values["didpast"], made.values["didbase"] = self._grammar.pair("deed", "deedbase")
            return made.values[name]
        if name in {"kindX", "workkind"}:
            return made.entity.kind
        return self._grammar.give(made.frame.slots.get(name, name))


def _preposition(date: str) -> str:
    words = date.lower().split()
    if {"century", "bc", "ad"} & set(words):
        return "in"
    days = any(word.isdigit() and int(word) < 32 for word in words) or words[0].endswith("day")
    return "on" if days else "in"
