"""From a body and its media type to the items that it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import (
    BLANK_LINE_RE,
    Data,
    Field,
    File,
    MultipartDecoder,
    NeedData,
    State,
)

from trihook.errors import PayloadError, PayloadTooLargeError
from trihook.types import Item, JsonValue

_JSON = "application/json"
_FORM = "multipart/form-data"
_CURL_DEFAULT = "application/x-www-form-urlencoded"
_HEAD_SIZE = 256  # bytes that a part's head may have on average, of as many parts as there may be
_SHORT, _LONG = 4096, 256 * 1024  # about how many bytes a piece of a form has at least, and at most


@dataclass(frozen=True, slots=True)
class Payload:
    """What a body holds: items, whether the caller sent a list of them, and form fields."""

    items: tuple[Item, ...]
    many: bool
    fields: Mapping[str, str]


def parse_payload(body: bytes, content_type: str, max_items: int) -> Payload:
    """Take a body apart into items.

    JSON is one item, or with ``{"instances": [...]}`` one for each element; a multipart form
    is one for each file; any other body is one item of bytes. JSON that came with curl's default
    media type is taken for JSON all the same. Raises :class:`PayloadError` for a body that is
    empty or not what its media type says, :class:`PayloadTooLargeError` above ``max_items``.
    """
    media_type, parameters = content_type, dict[str, str]()
    if content_type != _JSON:
        media_type, parameters = parse_options_header(content_type)
        media_type = media_type.lower()
    if not body:
        raise PayloadError("the body is empty", stage="request")
    if _is_json(media_type, body):
        payload = _parse_json(body, max_items)
    elif media_type == _FORM:
        payload = _parse_form(body, parameters.get("boundary", ""), max_items)
    else:
        payload = Payload((Item(body, media_type),), many=False, fields={})
    if len(payload.items) > max_items:
        raise _too_many(max_items)
    return payload


def _too_many(max_items: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"the request holds over {max_items} items", stage="request")


def _is_json(media_type: str, body: bytes) -> bool:
    if media_type == _JSON or media_type.endswith("+json"):
        return True
    return media_type == _CURL_DEFAULT and body.lstrip()[:1] in (b"{", b"[")


def _parse_json(body: bytes, max_items: int) -> Payload:
    try:
        value: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise PayloadError(
            f"the body is not JSON: it goes wrong at line {exc.lineno}, column {exc.colno}",
            stage="request",
        ) from exc
    if isinstance(value, dict) and "instances" in value:
        instances = value["instances"]
        if not isinstance(instances, list):
            raise PayloadError('"instances" is not a list', stage="request")
        if len(instances) > max_items:  # before millions of items are made, which takes seconds
            raise _too_many(max_items)
        items = tuple(Item(each, index=index) for index, each in enumerate(instances))
        return Payload(items, many=True, fields={})
    return Payload((Item(value),), many=False, fields={})


def _parse_form(body: bytes, boundary: str, max_items: int) -> Payload:
    if not boundary:
        raise PayloadError("the multipart form has no boundary", stage="request")
    files: list[Item] = []
    fields: dict[str, str] = {}
    for head, content in _parts(body, boundary, max_items):
        if isinstance(head, File):
            media_type = parse_options_header(head.headers.get("content-type", ""))[0].lower()
            name = head.filename or ""
            files.append(Item(content, media_type or "application/octet-stream", name, len(files)))
        else:
            fields.setdefault(head.name or "", content.decode("utf-8", "replace"))
    if not files:
        raise PayloadError("the multipart form holds no file", stage="request")
    return Payload(tuple(files), many=True, fields=fields)


def _measure_head(buffer: bytearray, seen: int, most: int) -> int:
    """Return the length of the head that a part begins with, which may be ``most``.

    Its end is not looked for in the ``seen`` bytes where an earlier call did not find it.
    What is in a head is parsed line by line, its texts character by character: that is slow.
    """
    match = BLANK_LINE_RE.search(buffer, max(0, seen - 3), most)
    if match is not None:
        return match.end()
    if len(buffer) > most:
        raise PayloadTooLargeError(
            "the heads of the multipart form's parts are too long", stage="request"
        )
    return len(buffer)


def _cut(body: bytes, mark: bytes) -> Iterator[bytes]:
    """Cut a form before its marks, for a decoder that takes it in pieces.

    If there is a mark in what it has, it looks for the mark's line with a regular expression,
    which takes half a second for 64 MiB. So nothing follows upon a long part in its piece.
    """
    begin = 0
    while begin < len(body):
        at = body.find(mark, begin + _SHORT, begin + _LONG)
        end = at - len("\r\n") if at >= 0 else begin + _LONG
        yield body[begin:end]
        begin = end


def _parts(body: bytes, boundary: str, max_items: int) -> Iterator[tuple[File | Field, bytes]]:
    max_parts = max_items + 64
    mark = boundary.encode("latin-1", "replace")
    decoder = MultipartDecoder(mark, max_parts=max_parts)
    pieces = _cut(body, b"--" + mark)
    head: File | Field | None = None
    content: list[bytes] = []
    length, left = 0, _HEAD_SIZE * max_parts
    try:
        while decoder.state is not State.COMPLETE:
            if decoder.state is State.PART:
                length = _measure_head(decoder.buffer, length, left)
            event = decoder.next_event()
            if isinstance(event, NeedData):  # once it has None, that is a ValueError
                decoder.receive_data(next(pieces, None))
            elif isinstance(event, File | Field):
                head, content = event, []
                length, left = 0, left - length
            elif isinstance(event, Data) and head is not None:
                content.append(event.data)
                if not event.more_data:
                    yield head, b"".join(content)
    except RequestEntityTooLarge as exc:
        raise PayloadTooLargeError(
            "the multipart form has too many parts", stage="request"
        ) from exc
    except ValueError as exc:
        raise PayloadError("the multipart form is malformed or cut off", stage="request") from exc
