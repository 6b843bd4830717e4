"""Our host of entry scripts against Azure's inference server: the same, but for a list."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from azml.cases import ALL, CASES, DIFFERENCES, SERVERS, STARTS, STATUS_DIFFERENCES
from azml.environment import azure_python
from azml.hosts import AZURE, OURS, exit_status, running

KINDS = (AZURE, OURS)
AT_A_TIME = 4

pytestmark = pytest.mark.timeout(900)  # the first test waits for every server to have answered


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """All answers and exit statuses, by case and server: starting takes the time, so at once."""
    azure_python()
    folder = tmp_path_factory.mktemp("azml")

    def ask(place, kind, name):
        with running(kind, SERVERS[name], folder / f"{place}-{kind}") as server:
            return {
                (case.name, kind): server.ask(case.method, case.path, case.body, case.headers)
                for case in CASES
                if case.server == name
            }

    def start(place, kind, name):
        return {(name, kind): exit_status(kind, STARTS[name], folder / f"{place}-{kind}")}

    work = [(ask, name) for name in SERVERS] + [(start, name) for name in STARTS]
    found = {}
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        jobs = [
            pool.submit(function, place, kind, name)
            for place, (function, name) in enumerate(work)
            for kind in KINDS
        ]
        for job in jobs:
            found |= job.result()
    return found


def without_prose(value):
    """Return a Swagger document without its descriptions, which are our own words."""
    if isinstance(value, dict):
        return {k: without_prose(v) for k, v in value.items() if k != "description"}
    return [*map(without_prose, value)] if isinstance(value, list) else value


def parts(answer, *, is_swagger):
    """Return an answer's parts by name, as they are compared."""
    headers, body = answer.headers, answer.body
    if is_swagger and answer.status == 200:
        headers = tuple(pair for pair in headers if pair[0] != "content-length")
        body = without_prose(json.loads(body)) if body else body
    return {"status": answer.status, "headers": headers, "body": body}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_answer_alike_or_as_listed(everything, case):
    is_swagger = case.path.startswith("/swagger.json")
    theirs, ours = (parts(everything[case.name, kind], is_swagger=is_swagger) for kind in KINDS)
    expected = DIFFERENCES[case.name].parts if case.name in DIFFERENCES else frozenset()
    differing = {name for name in ALL if theirs[name] != ours[name]}
    assert differing == expected, f"\n{theirs}\n{ours}"


@pytest.mark.parametrize("name", STARTS)
def test_both_end_alike_or_as_listed(everything, name):
    theirs, ours = (everything[name, kind] for kind in KINDS)
    if name in STATUS_DIFFERENCES:
        assert (theirs, ours) == STATUS_DIFFERENCES[name][:2]
        assert theirs != ours
    else:
        assert theirs == ours
        assert theirs != "serves"


def test_there_are_enough_cases_and_each_has_its_own_name():
    names = [case.name for case in CASES] + list(STARTS)
    assert len(names) == len(set(names))
    assert len(names) >= 60


def test_every_listed_difference_has_a_case_and_a_reason():
    assert DIFFERENCES.keys() <= {case.name for case in CASES}
    assert STATUS_DIFFERENCES.keys() <= STARTS.keys()
    assert all(difference.reason for difference in DIFFERENCES.values())
    assert all(reason for _, _, reason in STATUS_DIFFERENCES.values())


def test_every_listed_difference_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "entry-scripts.md").read_text()
    listed = {difference.reason for difference in DIFFERENCES.values()}
    listed |= {reason for _, _, reason in STATUS_DIFFERENCES.values()}
    assert {reason for reason in listed if reason not in page} == set()
