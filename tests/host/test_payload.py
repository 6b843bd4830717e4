"""A body comes apart into items, or is refused; a cut one is never taken for fewer items."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trihook import PayloadError, PayloadTooLargeError, RequestError
from trihook.host.payload import Payload, parse_payload

FORM = "multipart/form-data; boundary=XX"


def _parse(body, content_type="application/json", max_items=100):
    return parse_payload(body, content_type, max_items)


def _part(name, content, filename=None, media_type=None):
    file = f'; filename="{filename}"' if filename is not None else ""
    kind = f"Content-Type: {media_type}\r\n" if media_type else ""
    head = f'--XX\r\nContent-Disposition: form-data; name="{name}"{file}\r\n{kind}\r\n'
    return head.encode() + content + b"\r\n"


def _form(*parts):
    return b"".join(parts) + b"--XX--\r\n"


# one item


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=utf-8",
                                        "application/vnd.acme+json"])  # fmt: skip
def test_json_is_one_item(media_type):
    payload = _parse(b'{"a": [1, 2.5, null]}', media_type)
    [item] = payload.items
    assert (item.data, item.media_type) == ({"a": [1, 2.5, None]}, "application/json")
    assert (payload.many, payload.fields) == (False, {})


@pytest.mark.parametrize("body", [b"null", b"0", b'""', b"[]", b"{}", b"false"])
def test_any_json_value_is_an_item(body):
    assert _parse(body).items[0].data == json.loads(body)


@pytest.mark.parametrize(
    ("content_type", "media_type"),
    [("image/jpeg", "image/jpeg"), ("Text/Plain; charset=utf-8", "text/plain"), ("", "")],
)
def test_any_other_body_is_one_item_of_bytes(content_type, media_type):
    payload = _parse(b'{"a": 1}', content_type)
    [item] = payload.items
    assert (item.data, item.media_type, payload.many) == (b'{"a": 1}', media_type, False)


@pytest.mark.parametrize(("body", "data"), [(b' {"a": 1}', {"a": 1}), (b"\n[1]", [1])])
def test_json_sent_with_curls_default_type_is_json(body, data):
    assert _parse(body, "application/x-www-form-urlencoded").items[0].data == data


def test_other_things_sent_with_curls_default_type_are_bytes():
    [item] = _parse(b"a=1", "application/x-www-form-urlencoded").items
    assert item.data == b"a=1"


@pytest.mark.parametrize("content_type", ["application/json", "image/png", "", FORM])
def test_an_empty_body_is_refused(content_type):
    with pytest.raises(PayloadError, match="the body is empty"):
        _parse(b"", content_type)


# instances


def test_instances_are_items():
    payload = _parse(b'{"instances": [{"a": 1}, "text", null]}')
    assert [item.data for item in payload.items] == [{"a": 1}, "text", None]
    assert [item.index for item in payload.items] == [0, 1, 2]
    assert payload.many


def test_a_single_instance_is_many():
    assert _parse(b'{"instances": [1]}').many


def test_no_instances_are_no_items():
    payload = _parse(b'{"instances": []}')
    assert (payload.items, payload.many) == ((), True)


@pytest.mark.parametrize("value", [b"{}", b"1", b"null", b'"text"'])
def test_instances_that_are_no_list_are_refused(value):
    with pytest.raises(PayloadError, match='"instances" is not a list'):
        _parse(b'{"instances": ' + value + b"}")


def test_too_many_instances_are_too_large():
    assert len(_parse(b'{"instances": [1, 2, 3]}', max_items=3).items) == 3
    with pytest.raises(PayloadTooLargeError, match="over 2 items"):
        _parse(b'{"instances": [1, 2, 3]}', max_items=2)


# what is no JSON


@pytest.mark.parametrize(
    "body",
    [b"{", b"[1,]", b"NaN", b"[Infinity]", b"1e999", b"'a'", b'"\\ud800"', b"\xff", b"1 2", b"\0",
     b"[" * 200_000, b"[" * 200_000 + b"]" * 200_000, b'{"a":' * 5000 + b"1" + b"}" * 5000],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_what_is_no_json_is_refused_with_its_place(body):
    with pytest.raises(PayloadError, match=r"is not JSON: it goes wrong at line \d+, column \d+"):
        _parse(body)


def test_the_place_is_told_and_the_content_is_not():
    with pytest.raises(PayloadError) as caught:
        _parse(b'{\n  "secret": x}')
    assert caught.value.message.endswith("line 2, column 13")
    assert caught.value.stage == "request"


@given(st.one_of(st.binary(), st.text(alphabet='[]{}",:0e.-nulltrue \\u').map(str.encode)))
def test_any_json_body_is_items_or_refused(body):
    try:
        payload = _parse(body)
    except RequestError:
        return
    assert isinstance(payload, Payload)


@given(st.binary(), st.text(), st.integers(0, 3))
def test_any_body_of_any_type_is_items_or_refused(body, content_type, max_items):
    try:
        payload = _parse(body, content_type, max_items)
    except RequestError:
        return
    assert len(payload.items) <= max_items


# forms


def test_every_file_is_an_item_and_every_text_a_field():
    payload = _parse(
        _form(
            _part("a", b"\x89PNG\r\n\x1a\n", "cat.png", "image/PNG"),
            _part("top", "größe".encode()),
            _part("a", b"", "", ""),
            _part("top", b"second"),
            _part("b", b"text", "ö.bin"),
        ),
        FORM,
    )
    assert [(i.data, i.media_type, i.name, i.index) for i in payload.items] == [
        (b"\x89PNG\r\n\x1a\n", "image/png", "cat.png", 0),
        (b"", "application/octet-stream", "", 1),
        (b"text", "application/octet-stream", "ö.bin", 2),
    ]
    assert payload.fields == {"top": "größe"}
    assert payload.many


def test_a_form_may_have_a_preamble_and_an_epilogue():
    body = b"preamble\r\n" + _form(_part("a", b"x", "f")) + b"epilogue"
    assert [item.data for item in _parse(body, FORM).items] == [b"x"]


def test_a_boundary_inside_a_file_is_content():
    content = b"--XY\r\n-- XX --XX\r\n"
    assert _parse(_form(_part("a", content, "f")), FORM).items[0].data == content


tokens = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b"-", b"--", b"X", b"--XX", b"--XX--", b"z" * 5000]
)
contents = st.lists(tokens, max_size=12).map(b"".join)


@given(st.lists(contents.filter(lambda content: not re.search(rb"(^|[\r\n])--XX", content))))
def test_files_of_any_size_come_out_as_they_were(files):
    body = _form(_part("a", b"first", "f"), *[_part("a", content, "f") for content in files])
    assert [item.data for item in _parse(body, FORM).items] == [b"first", *files]


@pytest.mark.parametrize("following", [[], [b"x", b"\r" * 5000, b"y"]], ids=len)
def test_it_does_not_matter_how_far_a_file_reaches(following):
    for size in range(256 * 1024 - 150, 256 * 1024 + 10):  # a piece has so many bytes at most
        files = [b"\n" * size, *following]
        body = _form(*[_part("a", content, "f") for content in files])
        assert [item.data for item in _parse(body, FORM).items] == files


@pytest.mark.parametrize(
    "end", range(len(_form(_part("a", b"abc", "f"), _part("b", b"d", "g"))) - 2)
)
def test_a_form_that_is_cut_off_anywhere_is_refused(end):
    body = _form(_part("a", b"abc", "f"), _part("b", b"d", "g"))
    assert len(_parse(body, FORM).items) == 2
    with pytest.raises(PayloadError):
        _parse(body[:end], FORM)


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (_form(_part("a", b"x", "f")), "multipart/form-data", "no boundary"),
        (_form(_part("a", b"x")), FORM, "holds no file"),
        (b"--XX--\r\n", FORM, "holds no file"),
        (_form(_part("a", b"x", "f")), "multipart/form-data; boundary=YY", "malformed or cut off"),
        (b"--XX\r\n\r\nx\r\n--XX--\r\n", FORM, "malformed or cut off"),
        (b"--XX\r\nno colon\r\n\r\nx\r\n--XX--\r\n", FORM, "malformed or cut off"),
        (b"no form at all", FORM, "malformed or cut off"),
    ],
)
def test_what_is_no_form_of_files_is_refused(body, content_type, words):
    with pytest.raises(PayloadError, match=words) as caught:
        _parse(body, content_type)
    assert caught.value.stage == "request"


def test_too_many_files_are_too_large():
    files = [_part("a", b"x", "f")] * 3
    assert len(_parse(_form(*files), FORM, 3).items) == 3
    with pytest.raises(PayloadTooLargeError, match="over 2 items"):
        _parse(_form(*files), FORM, 2)


def test_too_many_fields_are_too_large():
    body = _form(_part("a", b"x", "f"), *[_part("b", b"")] * 100)
    with pytest.raises(PayloadTooLargeError, match="too many parts"):
        _parse(body, FORM, 2)


@pytest.mark.parametrize(
    "head", [b":\n" * 200_000, b'Content-Disposition: form-data; name="' + b"a" * 400_000 + b'"'],
    ids=["lines", "a name"],
)  # fmt: skip
def test_heads_without_end_are_too_large(head):
    body = b"--XX\r\n" + head + b"\r\n\r\nx\r\n--XX--\r\n"
    with pytest.raises(PayloadTooLargeError, match="heads of the multipart form's parts"):
        _parse(body, FORM, 1000)
    with pytest.raises(PayloadError, match="malformed or cut off"):
        _parse(body[:100], FORM, 1000)


def test_a_head_may_hold_what_looks_like_a_boundary():
    head = b"Content-Disposition: form-data; filename=f\r\nX: " + (b"a" * 5000 + b"--XX") * 100
    body = b"--XX\r\n" + head + b"\r\n\r\nx\r\n--XX--\r\n"
    assert [item.data for item in _parse(body, FORM, 4096).items] == [b"x"]


def test_the_heads_of_all_parts_count_together():
    # the parts that may come with 36 files have 25,600 bytes of heads
    long = [_part("a", b"x", filename="b" * 9000) for _ in range(3)]
    assert len(_parse(_form(*long[:2]), FORM, 36).items) == 2
    with pytest.raises(PayloadTooLargeError, match="heads of the multipart form's parts"):
        _parse(_form(*long), FORM, 36)


def test_long_names_of_many_files_are_taken():
    files = [_part("a", b"x", f"{'é' * 60}.bin")] * 1000
    assert len(_parse(_form(*files), FORM, 1000).items) == 1000


@given(st.integers(0, 200), st.binary(max_size=4), st.integers(0, 3))
def test_any_change_of_a_form_is_items_or_refused(at, change, removed):
    body = bytearray(_form(_part("a", b"abc", "f", "text/plain"), _part("b", b"d")))
    body[at : at + removed] = change
    try:
        payload = _parse(bytes(body), FORM)
    except RequestError:
        return
    assert payload.many


@given(st.text(alphabet=st.characters(max_codepoint=255), min_size=1, max_size=80))
def test_any_boundary_is_taken_or_refused(boundary):
    content_type = f'multipart/form-data; boundary="{boundary}"'
    with pytest.raises(RequestError):
        _parse(b"--XX--\r\n", content_type)
