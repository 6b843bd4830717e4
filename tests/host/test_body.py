"""A body is read whole, or refused; a server that lies about it is not believed."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trihook import PayloadError, PayloadTooLargeError
from trihook.host.body import read_body

LIMIT = 3_000_000


class Stream:
    """A WSGI input that gives at most ``step`` bytes at a time, and counts them."""

    def __init__(self, data, step=None, error=None):
        self._data = io.BytesIO(data)
        self._step, self._error = step, error
        self.read_bytes = 0

    def read(self, size):
        chunk = self._data.read(size if self._step is None else min(size, self._step))
        self.read_bytes += len(chunk)
        if self._error and not chunk:
            raise self._error
        return chunk


def _environ(stream, length=None):
    environ = {"wsgi.input": stream}
    return environ if length is None else {**environ, "CONTENT_LENGTH": str(length)}


@given(st.binary(max_size=50), st.integers(1, 9), st.booleans())
def test_a_whole_body_is_read_in_whatever_pieces(data, step, declared):
    stream = Stream(data, step)
    assert read_body(_environ(stream, len(data) if declared else None), 50) == data


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024, 1024 * 1024 + 1, LIMIT])
@pytest.mark.parametrize("declared", [True, False])
def test_a_large_body_is_read(size, declared):
    data = bytes(size)
    assert read_body(_environ(Stream(data), size if declared else None), LIMIT) == data


@given(st.integers(0, 20), st.integers(1, 20), st.integers(1, 7))
def test_a_body_that_ends_early_is_refused(came, missing, step):
    stream = Stream(bytes(came), step)
    with pytest.raises(PayloadError, match=f"ends after {came} of the {came + missing} bytes"):
        read_body(_environ(stream, came + missing), 100)


def test_a_body_over_the_limit_is_refused_before_it_is_read():
    stream = Stream(bytes(LIMIT + 1))
    with pytest.raises(PayloadTooLargeError, match=f"over {LIMIT} bytes"):
        read_body(_environ(stream, LIMIT + 1), LIMIT)
    assert stream.read_bytes == 0


@pytest.mark.parametrize("step", [None, 1000])
def test_a_body_without_a_length_is_refused_one_byte_over_the_limit(step):
    stream = Stream(bytes(LIMIT * 2), step)
    with pytest.raises(PayloadTooLargeError, match=f"over {LIMIT} bytes"):
        read_body(_environ(stream), LIMIT)
    assert stream.read_bytes == LIMIT + 1


def test_bytes_after_the_body_are_not_read():
    stream = Stream(b"body and the next request")
    assert read_body(_environ(stream, 4), 100) == b"body"
    assert stream.read_bytes == 4


@pytest.mark.parametrize(
    "length", ["-1", "+5", "5 ", "0x5", "five", "1e3", "²", "\u0665", "9" * 5000]
)
def test_a_length_that_is_no_number_is_refused(length):
    with pytest.raises(PayloadError, match="Content-Length is no number"):
        read_body(_environ(Stream(b"12345"), length), 100)


def test_an_empty_length_is_none():
    assert read_body(_environ(Stream(b"body"), ""), 100) == b"body"


class FramingError(Exception):
    """What Gunicorn raises for a chunk that is none: no OSError."""


@pytest.mark.parametrize("error", [OSError("reset"), ValueError("closed"), FramingError("chunk")])
@pytest.mark.parametrize("length", [None, 10])
def test_broken_framing_is_the_callers_error(error, length):
    with pytest.raises(PayloadError, match="cut off or wrongly framed") as caught:
        read_body(_environ(Stream(b"12345", 2, error), length), 100)
    assert caught.value.__cause__ is error
    assert caught.value.stage == "request"
