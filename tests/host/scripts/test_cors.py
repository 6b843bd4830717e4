"""Only pages of the listed origins are let in."""

import pytest
from trihook.host.scripts.cors import Cors
from werkzeug.datastructures import Headers


def allowed(origins, origin):
    answer = Headers()
    Cors(origins).add_headers("POST", Headers({"Origin": origin}), answer)
    return answer.get("Access-Control-Allow-Origin")


@pytest.mark.parametrize(
    ("origins", "origin"),
    [
        (["https://a.example"], "https://a.example"),
        (["https://a.example"], "https://A.EXAMPLE"),
        (["https://.*[.]b[.]example"], "https://x.b.example"),
        (["*"], "https://anybody"),
        (["b", "*"], "https://anybody"),
    ],
)
def test_a_listed_origin_is_let_in_by_name(origins, origin):
    assert allowed(origins, origin) == origin


@pytest.mark.parametrize(
    ("origins", "origin"),
    [
        ([], "https://a.example"),
        (["https://a.example"], "https://a.example.evil"),
        (["https://a.example"], "https://axexample"),
        (["https://.*[.]b[.]example"], "https://x.b.example.evil"),
        (["https://a.example"], "null"),
    ],
)
def test_a_strangers_is_not(origins, origin):
    assert allowed(origins, origin) is None


def test_an_answer_that_varies_says_so():
    answer = Headers()
    Cors(["a", "b"]).add_headers("GET", Headers({"Origin": "a"}), answer)
    assert answer.getlist("Vary") == ["Origin"]
