"""Usual heads are told in one look, as Gunicorn would read them; unusual ones are left to it."""

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import create
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trihook.host.heads import parse_head

FIELDS = (b"Host: localhost:5001", b"Content-Type: application/json", b"Content-Length: 3")


def _head(line=b"POST /score/vector HTTP/1.1", fields=FIELDS, *more):
    return b"\r\n".join([line, *fields, *more]) + b"\r\n\r\n"


def _config():
    """Return Gunicorn's settings as our server has them."""
    cfg = Config()
    cfg.set("forwarded_allow_ips", "*")
    cfg.set("forwarder_headers", "")
    cfg.set("secure_scheme_headers", {})
    return cfg


CFG = _config()


def _by_gunicorn(data):
    """Return what WSGI says of a request as Gunicorn reads it, and its body."""
    parser = RequestParser(CFG, iter([data]), ("127.0.0.1", 1))
    request = next(parser)
    _, environ = create(request, None, ("127.0.0.1", 1), ("127.0.0.1", 80), CFG)
    return environ, request.body.read(), request.should_close()


def test_a_usual_head_is_read():
    data = _head() + b"[1]"
    head = parse_head(data)
    assert (head.model, head.version, head.length) == ("vector", "", 3)
    assert data[head.size :] == b"[1]"
    assert head.environ == {
        "HTTP_HOST": "localhost:5001",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "3",
        "QUERY_STRING": "",
    }


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (b"/score", ("", "")),
        (b"/score/a.b_c-1~", ("a.b_c-1~", "")),
        (b"/score/m/versions/12", ("m", "12")),
        (b"/score/versions", ("versions", "")),
        (b"/score/versions/versions/versions", ("versions", "versions")),
    ],
)
def test_the_path_names_model_and_version(path, named):
    head = parse_head(_head(b"POST " + path + b" HTTP/1.1"))
    assert (head.model, head.version) == named


def test_the_query_is_kept_as_it_came():
    head = parse_head(_head(b"POST /score?a=1&b=%20?/:x HTTP/1.1"))
    assert head.environ["QUERY_STRING"] == "a=1&b=%20?/:x"


@pytest.mark.parametrize("field", [b"X-A:b", b"X-A:  b\t ", b"X-A:b c\xff", b"x-a:"])
def test_values_are_read_without_the_space_around_them(field):
    head = parse_head(_head(b"POST /score HTTP/1.1", FIELDS, field))
    expected = field.partition(b":")[2].strip(b" \t").decode("latin-1")
    assert head.environ["HTTP_X_A"] == expected


@pytest.mark.parametrize(
    "line",
    [
        b"GET /score HTTP/1.1",
        b"POST / HTTP/1.1",
        b"POST /scores HTTP/1.1",
        b"POST //score HTTP/1.1",
        b"POST /score/ HTTP/1.1",
        b"POST /score/a/b HTTP/1.1",
        b"POST /score/a/versions/ HTTP/1.1",
        b"POST /score/a%20b HTTP/1.1",
        b"POST /score/\xe4 HTTP/1.1",
        b"POST /score#part HTTP/1.1",
        b"POST /score?a#part HTTP/1.1",
        b"POST /score?a b HTTP/1.1",
        b"POST http://x/score HTTP/1.1",
        b"POST /score HTTP/1.0",
        b"POST /score HTTP/2.0",
        b"POST  /score HTTP/1.1",
        b"post /score HTTP/1.1",
        b" POST /score HTTP/1.1",
        b"\r\nPOST /score HTTP/1.1",
    ],
)
def test_other_request_lines_are_unusual(line):
    assert parse_head(_head(line)) is None


@pytest.mark.parametrize(
    "field",
    [
        b"Transfer-Encoding: chunked",
        b"transfer-encoding: identity",
        b"Expect: 100-continue",
        b"Connection: close",
        b"Connection: upgrade",
        b"Connection: keep-alive, x",
        b"Upgrade: h2c",
        b"HTTP2-Settings: x",
        b"TE: trailers",
        b"Trailer: x",
        b"Content-Length: 3",
        b"Content-Type: text/plain",
        b"Host: other",
        b"X-Twice: 1\r\nX-Twice: 2",
        b"X_Under: 1",
        b"Content_Length: 9",
        b" folded: 1",
        b"X-Folded: 1\r\n more",
        b"X-Space : 1",
        b"no colon",
        b": no name",
        b"X-Nul: \x00",
        b"X-Del: \x7f",
        b"X-Bare: a\nb",
        b"X-Return: a\rb",
        b"X-\xc4: 1",
        b"X-Long: " + b"a" * 4000,
    ],
)
def test_such_fields_are_unusual(field):
    assert parse_head(_head(b"POST /score HTTP/1.1", FIELDS, field)) is None


@pytest.mark.parametrize("length", [b"", b"-1", b"+1", b"1 1", b"0x1", b"1" * 16, b"1,1", b"\xb2"])
def test_other_lengths_than_numbers_are_unusual(length):
    assert parse_head(_head(fields=(b"Host: x", b"Content-Length: " + length))) is None


def test_without_a_length_it_is_unusual():
    assert parse_head(_head(fields=(b"Host: x",))) is None


def test_many_fields_are_unusual():
    many = [b"X-%d: 1" % n for n in range(98)]
    assert parse_head(_head(b"POST /score HTTP/1.1", FIELDS[1:], *many)) is not None
    assert parse_head(_head(b"POST /score HTTP/1.1", FIELDS, *many)) is None


@pytest.mark.parametrize("size", [0, 1, 10, len(_head()) - 1])
def test_what_is_not_all_there_is_left_alone(size):
    assert parse_head(_head()[:size]) is None


_tokens = st.text("!#$%&'*+-.^`|~aZ09_", min_size=1, max_size=8).map(str.encode)
_values = st.binary(max_size=12) | st.text('\t ~aZ09,;="äÿ', max_size=12).map(
    lambda text: text.encode("latin-1")
)
_names = _tokens | st.sampled_from(
    [b"Host", b"Content-Type", b"Connection", b"Content-Length", b"TE", b"X-Request-Id"]
)
_fields = st.tuples(_names, st.sampled_from([b":", b": ", b":\t ", b" :"]), _values).map(b"".join)
_paths = st.sampled_from(
    [b"/score", b"/score/m", b"/score/m/versions/1", b"/score/..", b"/score/m?top=1", b"/score?"]
) | st.binary(max_size=6).map(b"/score".__add__)
_lines = st.tuples(
    st.sampled_from([b"POST", b"GET", b"post"]), _paths, st.sampled_from([b"HTTP/1.1", b"HTTP/1.0"])
).map(b" ".join)


@settings(max_examples=2000)
@given(line=_lines, fields=st.lists(_fields, max_size=4), body=st.binary(max_size=9))
@example(line=b"POST /score HTTP/1.1", fields=[b"Connection: Keep-Alive"], body=b"[1]")
@example(line=b"POST /score?%ff+=;& HTTP/1.1", fields=[b"!#$%&'*+-.^`|~: \xff"], body=b"")
def test_what_is_taken_gunicorn_would_have_read_the_same(line, fields, body):
    length = b"Content-Length: %d" % len(body)
    data = b"\r\n".join([line, *fields, length]) + b"\r\n\r\n" + body
    head = parse_head(data)
    if head is None:
        return
    environ, read, closes = _by_gunicorn(data + b"more")
    assert read == data[head.size :][: head.length] == body
    assert not closes
    assert environ["REQUEST_METHOD"] == "POST"
    path = "/score" + (f"/{head.model}" if head.model else "")
    path += f"/versions/{head.version}" if head.version else ""
    assert environ["PATH_INFO"] == path
    seen = {
        key: value
        for key, value in environ.items()
        if key.startswith("HTTP_") or key in ("CONTENT_LENGTH", "CONTENT_TYPE", "QUERY_STRING")
    }
    assert {"CONTENT_TYPE": "", **seen} == head.environ


@pytest.mark.parametrize("field", [b"Connection: Keep-Alive", b"X-A:\tb \t", b"X-A: \xe4\xff"])
@pytest.mark.parametrize(
    "line", [b"POST /score HTTP/1.1", b"POST /score/m/versions/2?top=3&x=%C3%A4 HTTP/1.1"]
)
def test_usual_requests_are_taken_and_read_as_gunicorn_reads_them(line, field):
    data = _head(line, FIELDS, field) + b"[1]"
    head = parse_head(data)
    environ, body, _ = _by_gunicorn(data)
    assert body == b"[1]"
    assert head.environ.items() <= environ.items()
