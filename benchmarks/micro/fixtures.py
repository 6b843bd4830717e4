"""What every case is given."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from micro.measuring import Measure


@pytest.fixture
def measure(benchmark: BenchmarkFixture) -> Measure:
    """Return what measures a function into a cell of a table."""
    return Measure(benchmark)
