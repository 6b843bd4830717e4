"""What both servers are asked, and where ours answers otherwise on purpose."""

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from azml.hosts import CutOff, CutOffChunk, Start

HERE = Path(__file__).parent
JSON = ("Content-Type", "application/json")
TEXT = ("Content-Type", "text/plain")


@dataclass(frozen=True)
class Case:
    """One request to one of the servers."""

    server: str
    name: str
    method: str = "POST"
    path: str = "/score"
    body: object = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Difference:
    """What differs on purpose: parts of an answer (status, headers, body), and the reason."""

    parts: frozenset[str]
    reason: str


def _script(name, *flags, environment=None, files=None):
    content = (HERE / "scripts" / f"{name}.py").read_text()
    return Start(
        ("--entry_script", f"{name}.py", *flags),
        {"AML_APP_ROOT": "{folder}", **(environment or {})},
        {f"{name}.py": content, **(files or {})},
    )


SERVERS = {
    "plain": _script("plain", environment={"SCORING_TIMEOUT_MS": "1500"}),
    "cors": _script(
        "plain",
        "--access_control_allow_origins",
        "https://a.example, https://.*[.]b[.]example",
    ),
    "any origin": _script("plain", environment={"AML_CORS_ORIGINS": "*"}),
    "raw": _script("raw", environment={"SERVER_VERSION_LOG_RESPONSE_ENABLED": "false"}),
    "schema": _script(
        "schema",
        environment={
            "SERVICE_NAME": "The service",
            "SERVICE_VERSION": "7",
            "SERVICE_PATH_PREFIX": "/a/b/",
        },
    ),
    "output": _script("output", files={"swagger.json": '{"own": 2}', "swagger3.json": "{}"}),
    "driver": _script(
        "driver",
        "--config_file",
        "{folder}/config/azure.json",
        environment={"SERVICE_NAME": "outside"},
        files={
            "config/azure.json": json.dumps(
                {"SCORING_TIMEOUT_MS": 300, "SERVICE_NAME": "file", "SERVICE_VERSION": "8"}
            )
        },
    ),
    "modules": _script(
        "modules",
        "--model_dir",
        "somewhere/models",
        environment={"AZUREML_SOURCE_DIRECTORY": "source", "SCORING_TIMEOUT_MS": "0"},
        files={
            "beside.py": "WHO = 'beside'",
            "utils.py": "WHO = 'mine'",
            "source/sourced.py": "SOURCED = 'sourced'",
        },
    ),
}


def _do(what):
    return Case("plain", f"do {what}", body=json.dumps({"do": what}).encode())


def _ids(name, path="/score", method="POST", **given):
    names = {"a": "x-request-id", "b": "x-ms-request-id", "c": "x-ms-client-request-id"}
    headers = tuple((names[key], value) for key, value in given.items())
    return Case("plain", f"ids {name}", method, path, b"1" if method == "POST" else None, headers)


def _cors(server, name, method="POST", path="/score", **headers):
    named = tuple((key.replace("_", "-"), value) for key, value in headers.items())
    return Case(server, f"{server} {name}", method, path, b"1" if method == "POST" else None, named)


def _raw(name, method="POST", query="", body=b"", headers=()):
    body = body if method == "POST" else None
    return Case("raw", f"raw {name}", method, f"/score{query}", body, headers)


def _schema(name, value, *headers, **more):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Case("schema", f"schema {name}", body=body, headers=headers or (JSON,), **more)


def _swagger(server, query="", method="GET"):
    return Case(server, f"{server} swagger{query} {method}", method, f"/swagger.json{query}")


FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
MULTIPART = (("Content-Type", "multipart/form-data; boundary=x"),)
FILES = (
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nabc\r\n'
    b'--x\r\nContent-Disposition: form-data; name="t"\r\n\r\ntext\r\n--x--\r\n'
)
GOOD = {"data": [[1, 2]], "label": "b"}
PREFLIGHT = {"Origin": "https://a.example", "Access_Control_Request_Method": "POST"}
ORIGIN = {"Origin": "https://a.example"}

CASES = (
    *map(_do, (
        "none", "string", "empty string", "tuple", "nan", "keys", "tuple keys", "set", "bytes",
        "array", "circle", "nest", "fail", "own timeout", "exit", "abort", "sleep", "shrug",
        "response", "response 503", "streamed", "aml text", "aml bytes", "aml json", "aml none",
        "aml headers", "aml 500", "aml failed", "aml set", "aml two types",
    )),
    Case("plain", "text", body="å".encode(), headers=(TEXT,)),
    Case("plain", "JSON as text", body=b'{"a": 1}', headers=(JSON,)),
    Case("plain", "no content type", body=b"\x00abc"),
    Case("plain", "empty body", body=b""),
    Case("plain", "chunks", body=[b"ab", b"cd"]),
    Case("plain", "not UTF-8", body=b"ab\xffcd"),
    Case("plain", "cut-off UTF-8", body="å".encode()[:1]),
    Case("plain", "Latin-1", body=b"\xe5", headers=(("Content-Type", "a/b; charset=latin-1"),)),
    Case("plain", "cut-off body", body=CutOff(b"abc")),
    Case("plain", "cut-off chunk", body=CutOffChunk(b"abc")),
    Case("plain", "form", body=b'{"a": 1}', headers=FORM),
    Case("plain", "multipart", body=FILES, headers=MULTIPART),
    Case("plain", "query", "GET", '/score?a=1&b=[1,2]&c=x&d=null&a=%22s%22&e=&f=a%20b'),
    Case("plain", "no query", "GET"),
    Case("plain", "query asks", "GET", "/score?do=string"),
    Case("plain", "query not UTF-8", "GET", "/score?a=%ff"),
    *(Case("plain", f"score {name}", name) for name in ("HEAD", "PUT", "DELETE", "OPTIONS")),
    *(Case("plain", f"home {name}", name, "/") for name in ("GET", "HEAD", "POST", "OPTIONS")),
    *(
        Case("plain", f"path {path}", "POST", path, b"1")
        for path in ("/score/", "/score/x", "//score", "/%ff")
    ),
    Case("plain", "path unknown", "GET", "/nothing?a=1"),
    *(_swagger("plain", query) for query in (
        "", "?version=2", "?version=2.0", "?version=3", "?version=3.0", "?version=3.1",
        "?version=9", "?version=", "?version=3&version=2",
    )),
    _swagger("plain", method="POST"),
    _swagger("plain", method="HEAD"),
    _ids("none"),
    _ids("a", a="A"),
    _ids("b", b="B"),
    _ids("c", c="C"),
    _ids("a b", a="A", b="B"),
    _ids("a c", a="A", c="C"),
    _ids("b c", b="B", c="C"),
    _ids("a b c", a="A", b="B", c="C"),
    _ids("empty a", a=""),
    _ids("empty b and c", b="", c=""),
    _ids("100 long", a="a" * 100, b="b" * 100, c="c" * 100),
    _ids("a too long", a="a" * 101),
    _ids("b too long", b="b" * 101),
    _ids("c too long", a="A", c="c" * 101),
    _ids("all too long", a="a" * 101, b="b" * 101, c="c" * 101),
    _ids("too long at home", "/", "GET", a="a" * 101),
    _ids("too long at swagger", "/swagger.json", "GET", b="b" * 101),
    _ids("on a 404", "/nothing", a="a" * 101),
    _ids("on a 405", "/", a="A"),
    _ids("with words", a="two words; and = more"),
    Case("plain", "trace id", body=b"1", headers=(("TraceId", "T"),)),
    Case("plain", "trace id at home", "GET", "/", headers=(("traceid", "T"),)),
    Case(
        "plain", "ids on a failure", body=b'{"do": "fail"}',
        headers=(("x-request-id", "A"), ("TraceId", "T")),
    ),
    _cors("cors", "listed", Origin="https://a.example"),
    _cors("cors", "other case", Origin="HTTPS://A.example"),
    _cors("cors", "matched", Origin="https://x.b.example"),
    _cors("cors", "matched at its start", Origin="https://x.b.example.evil.example"),
    _cors("cors", "stranger", Origin="https://evil.example"),
    _cors("cors", "no origin"),
    _cors("cors", "preflight", "OPTIONS", **PREFLIGHT),
    _cors("cors", "preflight of PUT", "OPTIONS", **ORIGIN, Access_Control_Request_Method="PUT"),
    _cors(
        "cors", "preflight with headers", "OPTIONS", **PREFLIGHT,
        Access_Control_Request_Headers="x-b, Authorization",
    ),
    _cors("cors", "preflight by a stranger", "OPTIONS", **{**PREFLIGHT, "Origin": "https://c.d"}),
    _cors("cors", "home", "GET", "/", **ORIGIN),
    _cors("cors", "preflight of home", "OPTIONS", "/", **PREFLIGHT),
    _cors("cors", "swagger", "GET", "/swagger.json?version=9", **ORIGIN),
    _cors("cors", "404", "GET", "/nothing", **ORIGIN),
    _cors("cors", "405", "PUT", **ORIGIN),
    Case("cors", "cors failure", body=b'{"do": "fail"}', headers=(("Origin", "https://a.example"),)),
    Case("cors", "cors own header", body=b'{"do": "aml headers"}', headers=(("Origin", "https://a.example"),)),
    _cors("any origin", "any", Origin="https://c.example"),
    _cors("any origin", "none"),
    _cors("any origin", "preflight", "OPTIONS", **PREFLIGHT),
    *(_raw(method, method, "?a=1") for method in ("GET", "HEAD", "OPTIONS", "PUT")),
    _raw("bytes", query="?do=bytes", body=bytes(range(256))),
    _raw("header", headers=(("X-Given", "g"),)),
    _raw("form", body=b"a=1&b=2", headers=FORM),
    _raw("files", body=FILES, headers=MULTIPART),
    _raw("JSON", query="?do=json", body=b'{"a": [1]}', headers=(JSON,)),
    _raw("JSON that is none", query="?do=json", body=b"{", headers=(JSON,)),
    _raw("failure", query="?do=fail"),
    _raw("chunks", query="?do=bytes", body=[b"a", b"b"]),
    _schema("good", GOOD),
    _schema("extra and default", {**GOOD, "scale": 3, "more": 1}),
    _schema("missing", {"data": [[1, 2]]}),
    _schema("nothing", {}),
    _schema("null", {**GOOD, "scale": None}),
    _schema("wrong type", {**GOOD, "data": "text"}),
    _schema("wrong shape", {**GOOD, "data": [[1, 2, 3]]}),
    _schema("failure", {**GOOD, "label": "fail"}),
    _schema("failure in numpy", {**GOOD, "label": "misfit"}),
    _schema("list", [1]),
    _schema("text", b'"text"'),
    _schema("cut off", b'{"data": '),
    _schema("two values", b"{} {}"),
    _schema("empty", b""),
    _schema("not UTF-8", b'{"label": "\xff"}'),
    _schema("UTF-16", json.dumps(GOOD).encode("utf-16")),
    _schema("byte order mark", b"\xef\xbb\xbf{}"),
    _schema("deep", b"[" * 100_000),
    _schema("NaN", b'{"data": [[NaN, 1]], "label": "b"}'),
    Case("schema", "schema cut-off body", body=CutOff(b"{}"), headers=(JSON,)),
    Case("schema", "schema cut-off chunk", body=CutOffChunk(b"{}"), headers=(JSON,)),
    _schema("as text", GOOD, TEXT),
    _schema("form", GOOD, *FORM),
    _schema("no content type", GOOD, ("X-Given", "g")),
    _schema("charset", GOOD, ("Content-Type", "application/json; charset=utf-8")),
    _schema("suffix", GOOD, ("Content-Type", "application/vnd.x+json")),
    Case("schema", "schema query", "GET", f"/score?label=b&data={quote('[[1,2]]')}"),
    Case("schema", "schema no query", "GET"),
    Case("schema", "schema OPTIONS", "OPTIONS"),
    *(_swagger("schema", query) for query in ("", "?version=3", "?version=3.1")),
    Case("output", "output good", body=b'{"number": [1, 2]}', headers=(JSON,)),
    Case("output", "output missing", body=b'{"a": 1}', headers=(JSON,)),
    Case("output", "output as text", body=b'{"number": 1}', headers=(TEXT,)),
    *(_swagger("output", query) for query in ("", "?version=3", "?version=3.1")),
    Case("driver", "driver state", body=b"1", headers=(("X-Given", "g"),)),
    Case("driver", "driver timeout of the file", body=b"sleep", headers=(("X-Given", "g"),)),
    _swagger("driver"),
    Case("modules", "modules paths", body=b"paths"),
    Case("modules", "modules own name", body=b"module"),
    Case("modules", "modules utils", body=b"utils"),
)  # fmt: skip

STATUS, HEADERS, BODY = "status", "headers", "body"
ALL = frozenset((STATUS, HEADERS, BODY))
ANSWERS = frozenset((HEADERS, BODY))
_LIBRARY = "a body that is wrong is the caller's fault, not the script's"
DIFFERENCES = {
    "form": Difference(ANSWERS, "the body is given to the script, as of every other type"),
    "multipart": Difference(ANSWERS, "the body is given to the script, as of every other type"),
    "do own timeout": Difference(ANSWERS, "no time limit has passed: the script raised"),
    "do exit": Difference(
        ANSWERS, "SystemExit is the script's failure like any other, told as JSON"
    ),
    "do shrug": Difference(ALL, "a time limit that a script can swallow is none"),
    "do aml two types": Difference(
        frozenset((HEADERS,)), "a response has one Content-Type, the one that was given"
    ),
    "cors matched at its start": Difference(
        frozenset((HEADERS,)), "an origin that goes on behind the expression is a stranger's"
    ),
    "cut-off body": Difference(ALL, _LIBRARY),
    "cut-off chunk": Difference(ALL, _LIBRARY),
    "schema cut-off body": Difference(ANSWERS, _LIBRARY),
    "schema cut-off chunk": Difference(ALL, _LIBRARY),
    "schema wrong type": Difference(ALL, _LIBRARY),
    "schema wrong shape": Difference(ALL, _LIBRARY),
    "schema not UTF-8": Difference(ALL, _LIBRARY),
    "schema deep": Difference(ALL, _LIBRARY),
    "modules utils": Difference(ALL, "the script's own modules are never shadowed"),
}


def _broken(name):
    return _start(f"{name}.py", (HERE / "broken" / f"{name}.py").read_text())


def _start(script, content=None, flags=(), environment=None, files=None):
    return Start(
        ("--entry_script", script, *flags),
        environment or {},
        {**({} if content is None else {script: content}), **(files or {})},
    )


FINE = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"
STARTS = {
    **{path.stem: _broken(path.stem) for path in sorted((HERE / "broken").glob("*.py"))},
    "syntax error": _start("a.py", "def init(:\n"),
    "no such script": _start("nowhere.py"),
    "no Python file": _start("a.txt", FINE),
    "Swagger file that is none": _start("a.py", FINE, files={"swagger.json": "{"}),
    "timeout that is no number": _start("a.py", FINE, environment={"SCORING_TIMEOUT_MS": "x"}),
    "config file that is none": _start("a.py", FINE, ("--config_file", "c"), files={"c": "{"}),
    "origin that is no expression": _start("a.py", FINE, ("--access_control_allow_origins", "(")),
    "no script named": Start(),
    "script named by the environment": Start(
        (), {"AZUREML_ENTRY_SCRIPT": "{folder}/a.py"}, {"a.py": FINE}
    ),
    "unknown flag": _start("a.py", FINE, ("--no_such_flag", "1")),
    "port above all": _start("a.py", FINE, ("--port", "70000")),
    "no workers": _start("a.py", FINE, ("--worker_count", "0")),
    "quotes in the service's name": _start("a.py", FINE, environment={"SERVICE_NAME": 'a "b"'}),
    "own config module": _start(
        "a.py", f"import config\n\nassert config.MINE\n{FINE}", files={"config.py": "MINE = True"}
    ),
    "own routes module": _start(
        "a.py", f"import routes\n\nassert routes.MINE\n{FINE}", files={"routes.py": "MINE = True"}
    ),
}
_USAGE = "trihook's commands end with 2 where their options or settings are wrong"
_PLUGINS = "without a script, trihook serves its plugins"
_NOT_SHADOWED = "the script's own modules are never shadowed"
STATUS_DIFFERENCES = {
    # name: Azure's status, ours, and why
    "unknown flag": (1, 2, _USAGE),
    "port above all": (1, 2, _USAGE),
    "no workers": (1, 2, _USAGE),
    "timeout that is no number": (3, 2, _USAGE),
    "config file that is none": (3, 2, _USAGE),
    "no script named": (1, "serves", _PLUGINS),
    "script named by the environment": (1, "serves", _PLUGINS),
    "quotes in the service's name": (3, "serves", "a name may be any text"),
    "own config module": (3, "serves", _NOT_SHADOWED),
    "own routes module": (3, "serves", _NOT_SHADOWED),
}  # fmt: skip
