"""Made-up texts with a question and the words that answer it: ``generate.py SEED COUNT``."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from frames import Frame, fact_frames, meaning, verb_frames
from grammar import Entity, Grammar, held_out
from sentences import Span, Statement, Writer
from trihook_bidaf.sizes import SPAN

Sentence = tuple[list[str], Span | None]
_AUXILIARIES = {"was", "is", "are", "were", "has", "had"}
_OWN_NAMES = {"X", "kindX", "workkind", "didbase"}


@dataclass(frozen=True)
class Example:
    """A context, a question, and the first and last word of its answer in the context."""

    context: list[str]
    query: list[str]
    start: int
    end: int


class Generator:
    """Makes examples without end, the same ones for the same seed.

    In a test, all words are used and only questions that training never asks.
    """

    def __init__(self, seed: int, *, test: bool = False) -> None:
        self._rng = random.Random(seed)  # noqa: S311  (no secret)
        self._test = test
        self._grammar = Grammar(self._rng, test=test)
        self._writer = Writer(self._grammar, test=test)
        self._facts = _by_main(fact_frames())
        self._verbs = _by_main(verb_frames())
        self._mains = [*self._facts, *["made"] * 4, "person", "person"]

    def __iter__(self) -> Iterator[Example]:
        while True:
            example = self._example()
            if example is not None:
                yield example

    def _example(self) -> Example | None:
        rng = self._rng
        main = rng.choice(self._mains)
        entity = self._grammar.entity(main)
        statements = [self._writer.state(self._frame(main), entity, entity.full)]
        for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4, 5))):
            mention = rng.choice((*[entity.pronoun] * 3, entity.short, entity.full))
            statements.append(self._writer.state(self._frame(main), entity, mention))
        index = rng.randrange(len(statements))
        target = statements[index]
        asked = self._question(target, statements[:index] + statements[index + 1 :])
        if asked is None:
            return None
        slot, query = asked
        if query[0] in {"what", "which"} and rng.random() < 0.4:
            return None  # people ask when, where and why as often
        spans = [target.spans[slot] if made is target else None for made in statements]
        sentences = [
            self._dress(made.words, span) for made, span in zip(statements, spans, strict=True)
        ]
        sentences = self._join(sentences, entity)
        for _ in range(rng.choice((0, 1, 1, 2, 3, 4, 6))):
            place = rng.choice((0, len(sentences)))
            sentences.insert(place, self._dress(self._distraction(target), None))
        return _assemble(sentences, self._phrase(query))

    def _frame(self, main: str) -> Frame:
        facts, verbs = self._facts.get(main, []), self._verbs.get(main, [])
        likely = facts and (not verbs or self._rng.random() < 0.65)
        return self._rng.choice(facts if likely else verbs)

    def _distraction(self, target: Statement) -> list[str]:
        form = self._rng.random()
        main = target.frame.main if form < 0.55 else self._rng.choice(self._mains)
        frame = target.frame if form < 0.3 else self._frame(main)
        entity = self._grammar.entity(main)
        return self._writer.state(frame, entity, entity.full).words

    # -- questions ---------------------------------------------------------------------------

    def _question(self, target: Statement, others: list[Statement]) -> tuple[str, list[str]] | None:
        """Ask something that the target answers, and no other statement could seem to."""
        choices = [
            (len(meaning(target.template) & meaning(question)), slot, question)
            for slot, question in target.frame.questions
            if held_out(question) == self._test and self._fits(target, slot, question)
        ]
        clear = [
            choice for choice in choices if choice[0] > self._rival(target, others, *choice[1:])
        ]
        if not clear:
            return None
        best = max(clear)[0]
        good = [choice for choice in clear if choice[0] == best or self._rng.random() < 0.15]
        _, slot, question = self._rng.choice(good)
        return slot, self._writer.ask(target, slot, question)

    def _fits(self, target: Statement, slot: str, question: str) -> bool:
        named = set(re.findall(r"\{(\w)\}", question)) - _OWN_NAMES
        full = slot != "X" or target.mention == target.entity.full
        return slot in target.spans and full and named <= target.spans.keys() and slot not in named

    def _rival(self, target: Statement, others: list[Statement], slot: str, question: str) -> int:
        kind = target.frame.slots.get(slot)
        shared = [
            len(meaning(other.template) & meaning(question))
            for other in others
            if slot == "X" or kind in {other.frame.slots.get(name) for name in other.spans}
        ]
        return max(shared, default=-1)

    def _phrase(self, words: list[str]) -> list[str]:
        rng = self._rng
        if rng.random() < 0.03:
            words = ["according", "to", "the", "text", ",", *words]
        if rng.random() < 0.95:
            words = _capital(words)
        return [*words, "?"] if rng.random() < 0.93 else words

    # -- texts -------------------------------------------------------------------------------

    def _dress(self, words: list[str], span: Span | None) -> Sentence:
        """Add what real sentences have besides their facts."""
        rng, grammar = self._rng, self._grammar
        words = list(words)
        places = [at for at, word in enumerate(words) if word in _AUXILIARIES]
        if places and rng.random() < 0.15 and not (span and span[0] <= places[0] < span[1]):
            words.insert(places[0] + 1, grammar.give("adverb"))
            span = _shift(span, places[0] + 1, 1)
        if rng.random() < 0.15:
            opening = grammar.give("opening").split()
            words, span = opening + words, _shift(span, 0, len(opening))
        if rng.random() < 0.25:
            words += grammar.give("ending").split()
        return words, span

    def _join(self, sentences: list[Sentence], entity: Entity) -> list[Sentence]:
        """Make one sentence of two, now and then."""
        rng = self._rng
        joined: list[Sentence] = []
        for sentence in sentences:
            words, span = sentence
            if joined and len(joined[-1][0]) < 22 and rng.random() < 0.3:
                first, first_span = joined.pop()
                link = rng.choice((", and", ", but", ";", ", while", "and", ", so")).split()
                if words[0] == entity.pronoun and rng.random() < 0.5:
                    link, words, span = ["and"], words[1:], _shift(span, 0, -1)
                moved = _shift(span, 0, len(first) + len(link))
                joined.append((first + link + words, moved or first_span))
            else:
                joined.append(sentence)
        return joined


def _by_main(frames: list[Frame]) -> dict[str, list[Frame]]:
    found: dict[str, list[Frame]] = {}
    for frame in frames:
        found.setdefault(frame.main, []).append(frame)
    return found


def _assemble(sentences: list[Sentence], query: list[str]) -> Example | None:
    context: list[str] = []
    answer: Span | None = None
    for words, span in sentences:
        answer = _shift(span, 0, len(context)) or answer
        context += [*_capital(words), "."]
    if answer is None or not 0 <= answer[0] <= answer[1] < min(len(context), answer[0] + SPAN):
        return None
    return Example(context, query, *answer)


def _capital(words: list[str]) -> list[str]:
    return [words[0][:1].upper() + words[0][1:], *words[1:]]


def _shift(span: Span | None, at: int, by: int) -> Span | None:
    return (span[0] + by, span[1] + by) if span and at <= span[0] else span


def main() -> None:
    """Print some examples."""
    seed, count = map(int, sys.argv[1:])
    for example, _ in zip(Generator(seed), range(count), strict=False):
        answer = example.context[example.start : example.end + 1]
        for mark, words in (
            ("text", example.context),
            ("query", example.query),
            ("answer", answer),
        ):
            sys.stdout.write(f"{mark}: {' '.join(words)}\n")
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
