"""The report's sections on trihook alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, TypeAlias

from trihook_bench.beside import AS_MANY
from trihook_bench.load import Load
from trihook_bench.memory import FLAT_MB_A_MINUTE
from trihook_bench.results import Spread
from trihook_bench.tables import number, picture, spread, table

Record: TypeAlias = "Mapping[str, Any]"

IDLE_MB = 90
FIRST_ANSWER_SECONDS = 2
ALIVE_P99_MS = 50
UNUSED_COST = 0.10


def _growth(record: Record) -> str:
    parts = ["## As work grows"]
    titles = {
        "items": "Vectors in a request, at 4 connections",
        "connections": "Connections",
        "models": "Models loaded, one of them used, at 1 connection",
        "processes": "The same, where each model is a process of Triton's Python backend",
        "direct": "Triton itself asked, in front of the same processes",
        "plugins": "Plugins installed for other models, at 1 connection",
        "quick": "Plugins that say they are quick, are asked and take nothing, at 1 connection",
        "asked": "Plugins without marks, asked in a thread, that take nothing, at 1 connection",
        "bytes": "Bytes in a request's JSON, and about as many in the reply, at 2 connections",
    }
    for name, title in titles.items():
        if name not in record:  # measured before there was such a part
            continue
        loads = {count: [Load(**run) for run in runs] for count, runs in record[name].items()}
        parts.append(f"### {title}\n\n{picture(name)}{_grown(name, loads)}")
        if name in ("models", "processes", "plugins", "quick", "asked"):
            parts.append(_judge_unused(loads))
        elif name == "items":
            parts.append(_judge_items(loads))
        elif name == "direct":
            cost = _cost(loads) if _are_valid(loads) else "It was not measured"
            parts.append(f"{cost}, and none of it is trihook's.")
    return "\n\n".join(parts)


def _grown(name: str, loads: Mapping[str, list[Load]]) -> str:
    rows = []
    for count, runs in loads.items():
        valid = all(run.is_valid for run in runs)
        rate = Spread.of(run.rate for run in runs)
        row = [f"{int(count):,}", spread(rate) if valid else "**INVALID**"]
        if name == "items":
            row.append(number(1e6 / (rate.median * int(count))) if valid else "-")
        row.append(number(median(run.p50_ms for run in runs)))
        rows.append(row)
    per_item = ["µs a vector"] if name == "items" else []
    return table(["", "requests/s", *per_item, "median ms"], rows, texts=0)


def _judge_unused(loads: Mapping[str, list[Load]]) -> str:
    if not _are_valid(loads):
        return "What a request costs was not measured: there were wrong answers, or none."
    verdict = _judge(_costs(loads).median <= UNUSED_COST)
    return f"{_cost(loads)}; the target is at most {UNUSED_COST:.0%}: {verdict}."


def _judge_items(loads: Mapping[str, list[Load]]) -> str:
    """Compare what an item costs in the largest requests with the next largest, by round."""
    if not _are_valid(loads):
        return "What a vector costs was not measured: there were wrong answers, or none."
    before, most = list(loads)[-2:]
    growth = int(before) / int(most)
    rise = Spread.of(
        a.rate / b.rate * growth - 1 for a, b in zip(loads[before], loads[most], strict=True)
    )
    verdict = _judge(rise.median <= 0)
    return (
        f"In requests of {most} a vector costs {rise.median:+.1%} ({rise.least:+.1%}…"
        f"{rise.greatest:+.1%} in {len(loads[most])} rounds) to what it does in those of {before}; "
        f"the target is that its cost does not rise: {verdict}."
    )


def _are_valid(loads: Mapping[str, list[Load]]) -> bool:
    return all(run.is_valid for runs in loads.values() for run in runs)


def _cost(loads: Mapping[str, list[Load]]) -> str:
    cost = _costs(loads)
    return (
        f"A request costs {cost.median:+.1%} ({cost.least:+.1%}…{cost.greatest:+.1%}) with the "
        f"most of them"
    )


def _costs(loads: Mapping[str, list[Load]]) -> Spread:
    """Compare the most with the least, by round."""
    fewest, *_, most = loads.values()
    return Spread.of(a.rate / b.rate - 1 for a, b in zip(fewest, most, strict=True))


def _memory(record: Record) -> str:
    idle = ", ".join(f"{mb:.1f} MB" for mb in record["idle_mb"])
    slopes = ", ".join(f"{slope:+.2f}" for slope in record["slopes_mb_a_minute"])
    valid = record["valid"]
    light = _judge(max(record["idle_mb"]) <= IDLE_MB, valid)
    steepest = max(record["slopes_mb_a_minute"])
    flat = _judge(steepest <= FLAT_MB_A_MINUTE, valid, ("flat", "**not flat**"))
    last = [series[-1] for series in record["workers_mb"]]
    ends = ", ".join(f"{mb:.1f} MB" if mb else "nothing (it ended)" for mb in last)
    validity = "" if valid else " **INVALID: wrong answers, or a worker was replaced.**"
    return (
        f"## Memory\n\n{picture('memory')}Each worker, idle, with the plugins of the examples: "
        f"{idle}; the target is at most {IDLE_MB} MB: {light}. "
        f"During {record['minutes']:g} minutes of mixed load ({record['requests']:,} requests) "
        f"the second half grew by {slopes} MB a minute, to {ends}: {flat}.{validity}"
    )


def _start(record: Record) -> str:
    verdict = _judge(record["max"] <= FIRST_ANSWER_SECONDS)
    return (
        f"## First answer\n\n`trihook serve` answered its first request "
        f"{record['median']:.2f} s after its process began (median of {len(record['seconds'])}; "
        f"at most {record['max']:.2f} s), with Triton ready; the target is "
        f"{FIRST_ANSWER_SECONDS} s: {verdict}."
    )


def _liveness(record: Record) -> str:
    rows = [
        (name, *(number(record[name][field]) for field in ("count", "p50_ms", "p99_ms", "max_ms")))
        for name in ("idle", "busy")
    ]
    in_time = record["busy"]["p99_ms"] <= ALIVE_P99_MS
    verdict = _judge(in_time and not record["failed"], record["valid"])
    validity = "" if record["valid"] else " **INVALID: some photographs were not answered right.**"
    return (
        "## Liveness under load\n\n`GET /v2/health/live` every 10 ms, while 8 clients post "
        f"photographs of 12 megapixels ({record['bytes'] / 1e6:.1f} MB; "
        f"{record['photographs']:.1f} a second are scored). The target is a 99th percentile of "
        f"{ALIVE_P99_MS} ms: {verdict}; {record['failed']} failed."
        f"{validity}\n\n"
        + table(["", "asked", "median ms", "99th percentile ms", "longest ms"], rows)
    )


def _batches(record: Record) -> str:
    rows = [
        (
            count,
            number(entry["rate"]) if entry["valid"] else "**INVALID**",
            f"{entry['request_batch']:.2f}",
            f"{entry['execution_batch']:.2f}",
        )
        for count, entry in record.items()
    ]
    alone = record["1"]
    verdict = _judge(alone["request_batch"] == 1, alone["valid"])
    head = ["connections", "requests/s", "vectors in one request", "vectors in one execution"]
    return (
        f"## Batches that Triton saw\n\n{picture('batches')}The first is how many vectors "
        "trihook sent in one inference request, the second what Triton's own batcher made of "
        f"them. With one caller the first must be 1: {verdict}.\n\n" + table(head, rows, texts=0)
    )


def _judge(holds: bool, valid: bool = True, words: tuple[str, str] = ("met", "**missed**")) -> str:
    """Say whether a target is met, and neither of what is not valid."""
    if not valid:
        return "not measured"
    return words[0] if holds else words[1]


def _beside(record: Record) -> str:
    rows = []
    for work, rounds in record.items():
        parts = []
        for name in ("flask", "triton"):
            own = [each[AS_MANY][name] for each in rounds if AS_MANY in each]  # not in older files
            parts += [Spread.of(own) if own else None, Spread.of(each[name] for each in rounds)]
        total = Spread.of(each["flask"] + each["triton"] for each in rounds)
        rows.append((work, *map(spread, (*parts, total))))
    head = [f"{name}, {how}" for name in ("bare Flask", "Triton") for how in ("alone", "beside")]
    return (
        "## What the serial ceiling leaves out\n\nThe ceiling adds up what bare Flask and Triton "
        "take when each has both cores and their caches to itself. Here both run at once, with no "
        "connection between them; each one's rate is given as a share of its rate alone. So many "
        "connections go to each that the shares come near those where each picture or question "
        "passes both. If they did not disturb each other the sum would be 1. Each one's "
        "full rate is measured at more connections than it has here, and fewer may by themselves "
        "be slower: *alone* is its share at as many as *beside* the other, with the other "
        "at rest. The sum is of both at once.\n\n" + table(["", *head, "sum"], rows)
    )


SECTIONS: dict[str, Callable[[Record], str]] = {
    "beside": _beside,
    "batches": _batches,
    "growth": _growth,
    "memory": _memory,
    "start": _start,
    "liveness": _liveness,
}
