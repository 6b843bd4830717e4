"""What every test starts from."""

import os

import pytest
from hypothesis import settings

# how long an example takes says more of the machine than of the code
settings.register_profile("trihook", deadline=None)
settings.load_profile("trihook")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for name in os.environ:
        if name.startswith("TRIHOOK_"):
            monkeypatch.delenv(name)
