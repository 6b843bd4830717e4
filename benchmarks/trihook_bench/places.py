"""Where the benchmarks find and leave things."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
PEERS = BENCHMARKS / "peers"
REPORT = BENCHMARKS / "RESULTS.md"
RESULTS = BENCHMARKS / "results"
BUILD = ROOT / "build" / "bench"
ENVIRONMENTS = BUILD / "env"
MODELS = BUILD / "models"
LOGS = BUILD / "logs"
PLANS = BUILD / "plans"
QUICK = BUILD / "quick"
