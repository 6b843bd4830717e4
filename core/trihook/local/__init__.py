"""An embedded, real tritonserver for laptops and tests."""

from trihook.local.launcher import LocalTriton
from trihook.local.repository import (
    Problem,
    RepositoryModel,
    find_problems,
    list_models,
    require_valid,
)

__all__ = [
    "LocalTriton",
    "Problem",
    "RepositoryModel",
    "find_problems",
    "list_models",
    "require_valid",
]
