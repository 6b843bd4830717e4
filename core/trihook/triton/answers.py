"""Answers of HTTP, read whole from a socket of gevent's."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any, NamedTuple

HEADER_LENGTH = "Inference-Header-Content-Length"
_BLOCK_SIZE = 65536
_MAX_HEAD = 65536

# what Triton answers, in one look; anything else that is HTTP is read by http.client
_STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})[ \r]")
_FIELD = re.compile(rb"\r\n([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)")
_HEADER_LENGTH = HEADER_LENGTH.lower().encode()


class Answer(NamedTuple):
    """What Triton answered: an HTTP status, a body, and the length of its tensor header."""

    status: int
    body: bytes
    header_length: int | None = None


class BrokenAnswerError(ValueError):
    """What came is no answer of HTTP, or more than one."""


class LostConnectionError(OSError):
    """The connection broke once a request had been sent: it may have been carried out."""


def read_answer(connection: Any, method: str) -> tuple[Answer, bool]:
    """Read all of an answer; tell whether the connection may be used again.

    Raises :class:`LostConnectionError`, :class:`BrokenAnswerError` or another ``ValueError``.
    """
    try:
        return _read(connection, method)
    except OSError as exc:
        raise LostConnectionError from exc


def _read(connection: Any, method: str) -> tuple[Answer, bool]:
    data = _receive(connection)
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) > _MAX_HEAD or data[:5] != b"HTTP/"[: len(data)]:
            raise BrokenAnswerError("the answer's head is too long, or none")
        data += _receive(connection)
    status = _STATUS.match(data)
    listed = [(name.lower(), value) for name, value in _FIELD.findall(data, 0, end)]
    fields = dict(listed)
    length = fields.get(b"content-length", b"")
    if (
        status is None
        or len(fields) != len(listed)
        or not length.isdigit()
        or b"transfer-encoding" in fields
        or fields.get(b"connection", b"keep-alive").lower() != b"keep-alive"
    ):
        return _read_unusual(connection, data, method), False
    body = _read_body(connection, data[end + 4 :], int(length))
    return Answer(int(status[1]), body, _header_length(fields)), True


def _receive(connection: Any, most: int = _BLOCK_SIZE) -> bytes:
    """Return what has come; there has to be something."""
    data: bytes = connection.recv(most)
    if not data:
        raise ConnectionResetError("the connection was closed before all of an answer came")
    return data


def _read_body(connection: Any, first: bytes, length: int) -> bytes:
    if len(first) > length:
        raise BrokenAnswerError("the answer's body is followed by what nobody asked")
    if len(first) == length:
        return first
    chunks, left = [first], length - len(first)
    while left > 0:
        chunk = _receive(connection, left)
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def _header_length(fields: Mapping[bytes, bytes]) -> int | None:
    length = fields.get(_HEADER_LENGTH)
    return None if length is None else int(length)


def _read_unusual(connection: Any, data: bytes, method: str) -> Answer:
    """Read an answer that is in chunks, ends the connection, or the like."""
    with HTTPResponse(_Rest(connection, data), method=method) as response:  # type: ignore[arg-type]  # it asks for a file only
        try:
            response.begin()
            lengths = response.headers.get_all("Content-Length", [])
            if len(set(lengths)) > 1:
                raise BrokenAnswerError("the answer has several lengths")
            body = response.read()
        except IncompleteRead as exc:
            raise ConnectionResetError("the connection was closed in an answer's body") from exc
        except HTTPException as exc:
            raise BrokenAnswerError("the answer is not HTTP") from exc
        length = response.headers.get(HEADER_LENGTH)
        return Answer(response.status, body, None if length is None else int(length))


class _Rest(io.RawIOBase):
    """What has been read of a connection already, and what follows, as a file."""

    def __init__(self, connection: Any, data: bytes) -> None:
        self._connection, self._data = connection, data

    def makefile(self, _mode: str) -> Any:
        """Return the file that ``http.client`` reads."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._data:
            return int(self._connection.recv_into(buffer))
        part = self._data[: len(buffer)]
        buffer[: len(part)] = part
        self._data = self._data[len(part) :]
        return len(part)
