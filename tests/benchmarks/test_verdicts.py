"""The report's verdicts: on what was measured, not rounded, and none on what is not valid."""

import json

import pytest
from trihook_bench import beside, report
from trihook_bench.load import Load
from trihook_bench.results import Spread
from trihook_bench.rounds import Run
from trihook_bench.sections import SECTIONS
from trihook_bench.targets import Goal, Verdict

MEMORY = {
    "idle_mb": [60.0, 61.0], "workers_mb": [[60.0, 70.0], [60.0, 70.0]], "valid": True,
    "slopes_mb_a_minute": [0.0, 0.1], "minutes": 10.0, "requests": 1000,
}  # fmt: skip
SUMMARY = {"count": 100, "p50_ms": 1.0, "p99_ms": 20.0, "max_ms": 30.0}
LIVENESS = {
    "idle": SUMMARY, "busy": SUMMARY, "failed": 0, "photographs": 20.0, "bytes": 800_000,
    "valid": True,
}  # fmt: skip
START = {"seconds": [0.7], "median": 0.7, "max": 0.8}


def _verdict(ratio, bound, field="rate"):
    return str(Verdict(Goal("vector@8", "a", bound, field), Spread(ratio, ratio, ratio), "a"))


@pytest.mark.parametrize(
    ("ratio", "bound", "field", "said"),
    [
        (1.9, 1.9, "rate", "met"),
        (1.896, 1.9, "rate", "**missed** by 0.2%"),  # written as 1.90
        (4.992, 5, "rate", "**missed** by 0.2%"),
        (8.9, 9, "rate", "**missed** by 1%"),
        (1.05, 1.05, "p50_ms", "met"),
        (1.054, 1.05, "p50_ms", "**missed** by 0.4%"),
    ],
)
def test_a_ratio_is_judged_before_it_is_rounded(ratio, bound, field, said):
    assert _verdict(ratio, bound, field) == said


def _load(rate):
    return {
        "requests": 100, "seconds": 1.0, "rate": rate, "p50_ms": 1.0, "p90_ms": 1.0,
        "p99_ms": 1.0, "max_ms": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "rates", "written", "verdict"),
    [
        ("plugins", (109.96, 100), "+10.0%", "met"),
        ("plugins", (110.04, 100), "+10.0%", "**missed**"),
        ("items", (100, 50), "+0.0%", "met"),
        ("items", (100, 49.98), "+0.0%", "**missed**"),
    ],
)
def test_a_cost_is_judged_before_it_is_rounded(name, rates, written, verdict):
    said = SECTIONS["growth"]({name: {str(n): [_load(rate)] for n, rate in enumerate(rates, 1)}})
    assert f"costs {written} (" in said
    assert said.endswith(f": {verdict}.")


def test_memory_and_times_are_judged_before_they_are_rounded():
    edge = {**MEMORY, "idle_mb": [90.0], "slopes_mb_a_minute": [0.2]}
    assert "at most 90 MB: met." in SECTIONS["memory"](edge)
    assert SECTIONS["memory"](edge).endswith("to 70.0 MB, 70.0 MB: flat.")
    steep = SECTIONS["memory"]({**edge, "idle_mb": [90.04], "slopes_mb_a_minute": [0.204]})
    assert "at most 90 MB: **missed**." in steep
    assert steep.endswith(": **not flat**.")
    assert SECTIONS["start"]({**START, "max": 2.0}).endswith("is 2 s: met.")
    assert SECTIONS["start"]({**START, "max": 2.004}).endswith("is 2 s: **missed**.")
    for p99, verdict in ((50.0, "met"), (50.04, "**missed**")):
        busy = {**SUMMARY, "p99_ms": p99}
        assert f"of 50 ms: {verdict}; 0" in SECTIONS["liveness"]({**LIVENESS, "busy": busy})
    assert "of 50 ms: **missed**; 1 failed" in SECTIONS["liveness"]({**LIVENESS, "failed": 1})


def test_memory_is_not_judged_where_a_worker_ended():
    ended = {**MEMORY, "valid": False, "workers_mb": [[60.0, 0.0], [60.0, 70.0]]}
    said = SECTIONS["memory"](ended)
    assert "at most 90 MB: not measured." in said
    assert "to nothing (it ended), 70.0 MB: not measured. **INVALID: wrong" in said
    assert "flat" not in said


def test_liveness_is_not_judged_by_wrong_answers():
    said = SECTIONS["liveness"]({**LIVENESS, "valid": False})
    assert "of 50 ms: not measured; 0 failed. **INVALID: some" in said


def test_shares_are_also_taken_alone_at_as_many_connections(monkeypatch, tmp_path):
    at_once = []  # connections, in order

    def run_load(_plan, _port, connections, _seconds):
        at_once.append(connections)
        return Load(**{**_load(100.0), "rate": connections * 10.0})

    monkeypatch.setattr(beside, "run_load", run_load)
    alone = {name: Run(tmp_path, 1, 8) for name in ("flask", "triton")}
    both = {"flask": Run(tmp_path, 1, 2), "triton": Run(tmp_path, 1, 4)}
    shares = beside._shares(alone, both, 1)
    assert shares == {
        "flask": 0.25, "triton": 0.5, beside.AS_MANY: {"flask": 0.25, "triton": 0.5}
    }  # fmt: skip
    assert at_once[:4] == [8, 8, 2, 4]
    assert sorted(at_once[4:]) == [2, 4]


def test_shares_at_as_many_connections_may_be_missing():
    shares = {"flask": 0.3, "triton": 0.6}
    new = {**shares, beside.AS_MANY: {"flask": 0.5, "triton": 0.9}}
    told = SECTIONS["beside"]({"bidaf": [new]}).splitlines()[-1]
    assert told == (
        "| bidaf | 0.50 (0.50…0.50) | 0.30 (0.30…0.30) | 0.90 (0.90…0.90) | 0.60 (0.60…0.60) "
        "| 0.90 (0.90…0.90) |"
    )
    old = SECTIONS["beside"]({"bidaf": [shares]}).splitlines()[-1]
    assert old == "| bidaf | - | 0.30 (0.30…0.30) | - | 0.60 (0.60…0.60) | 0.90 (0.90…0.90) |"


def test_what_is_missing_from_a_report_is_named(tmp_path):
    def write():
        return report.write_report(tmp_path, tmp_path / "RESULTS.md")

    assert "Not measured" not in write()
    (tmp_path / "start.json").write_text(json.dumps(START))
    (tmp_path / "memory.json").write_text(json.dumps(MEMORY))
    assert "\n\nNot measured: comparison, beside, batches, growth, liveness.\n\n" in write()
