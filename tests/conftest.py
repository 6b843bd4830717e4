"""What every test starts from."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for name in os.environ:
        if name.startswith("TRIHOOK_"):
            monkeypatch.delenv(name)
