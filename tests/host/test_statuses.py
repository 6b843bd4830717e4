"""Every error has a status, and it is the documented one."""

import pytest
from trihook import errors
from trihook.errors import ScoringError
from trihook.host.statuses import STATUSES, status_of

EXPECTED = {
    "ScoringError": 500,
    "RequestError": 400,
    "PayloadError": 400,
    "UnauthorizedError": 401,
    "UnknownModelError": 404,
    "PayloadTooLargeError": 413,
    "UnsupportedMediaTypeError": 415,
    "HookError": 500,
    "HookResultError": 500,
    "TritonError": 502,
    "UnavailableError": 503,
    "TritonUnavailableError": 503,
    "TritonLostError": 503,
    "OverloadedError": 503,
    "DeadlineError": 504,
}
CLASSES = [
    cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, ScoringError)
]


def test_every_scoring_error_is_expected_here():
    assert {cls.__name__ for cls in CLASSES} == set(EXPECTED)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_status_of_an_error(cls):
    assert status_of(cls("message")) == EXPECTED[cls.__name__]


def test_an_error_of_a_plugins_own_has_its_bases_status():
    class PictureError(errors.PayloadTooLargeError):
        pass

    assert status_of(PictureError("too many pixels")) == 413


def test_the_table_holds_no_other_errors():
    assert set(STATUSES) <= set(CLASSES)
