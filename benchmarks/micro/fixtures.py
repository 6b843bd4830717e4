"""What every case is given."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from micro.measuring import Measure


@pytest.fixture(scope="session", params=range(1, 6), ids="pass {}".format)
def measuring_pass(request: pytest.FixtureRequest) -> int:
    """Let all cases be measured once, then all of them again, and so on.

    A machine that slows down for a while does so in one pass, not for one case.
    """
    number: int = request.param
    return number


@pytest.fixture
def measure(
    benchmark: BenchmarkFixture,
    measuring_pass: int,  # noqa: ARG001 - makes the passes
) -> Measure:
    """Return what measures a function into a cell of a table."""
    return Measure(benchmark)
