"""Services as they lie on the disk, whole or damaged: what can be told without a process."""

import json
import shutil

import pytest
from click.testing import CliRunner
from trihook import DeploymentError
from trihook.cli.services import services
from trihook.deploy import LocalService, used_models
from trihook.deploy.home import Home
from trihook.deploy.status import Status, write_status

SPEC = {"models": ["vector:1"], "workers": 2}


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def add(home):
    def add_it(name):
        folder = home.services / name
        (folder / "generations" / "1").mkdir(parents=True)
        (folder / "generations" / "1" / "spec.json").write_text(json.dumps(SPEC))
        (folder / "service.json").write_text('{"port": 6789}')
        return LocalService.find(name, home=home.folder)

    return add_it


def cut(service, file):
    (service.folder / file).write_text("")


DAMAGES = [
    lambda service: shutil.rmtree(service.folder / "generations"),
    lambda service: shutil.rmtree(service.folder / "generations" / "1"),
    lambda service: cut(service, "generations/1/spec.json"),
    lambda service: cut(service, "service.json"),
    lambda service: cut(service, "status.json"),
]


def show(service):
    return service.generation, service.status, service.scoring_uri


def listed(home):
    done = CliRunner().invoke(services, ["--home", str(home.folder)], catch_exceptions=False)
    assert done.exit_code == 0
    return [line.split() for line in done.stdout.splitlines()[1:]], done.stderr


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_service_is_named_and_hides_no_other(add, home, damage):
    bad, _ = add("bad"), add("good")
    damage(bad)
    with pytest.raises(DeploymentError, match=f"service 'bad' cannot be read: .*: {bad.folder}/"):
        show(bad)
    rows, said = listed(home)
    assert rows == [
        ["bad", "damaged"],
        ["good", "stopped", "vector:1", "http://localhost:6789/score"],
    ]
    assert said.startswith("Error: service 'bad' cannot be read: ")
    bad.delete()
    assert [row[0] for row in listed(home)[0]] == ["good"]


def test_whoever_waits_for_a_service_is_told_that_it_is_damaged(add):
    bad = add("bad")
    cut(bad, "status.json")
    with pytest.raises(DeploymentError, match=r"service 'bad' cannot be read: .*/status.json"):
        bad.wait_for_deployment()


def test_a_service_that_is_deleted_meanwhile_is_not_listed(add, home, monkeypatch):
    gone, good = add("gone"), add("good")
    monkeypatch.setattr(LocalService, "find_all", lambda **_: (gone, good))
    shutil.rmtree(gone.folder)
    rows, said = listed(home)
    assert ([row[0] for row in rows], said) == (["good"], "")


def test_a_file_among_the_services_is_none(add, home):
    add("good")
    (home.services / ".directory").write_text("")
    assert [service.name for service in LocalService.find_all(home=home.folder)] == ["good"]


def test_what_a_later_trihook_says_of_a_service_is_left_out(add, home):
    service = add("vector")
    spec = service.folder / "generations" / "1" / "spec.json"
    spec.write_text(json.dumps({**SPEC, "gpus": 2}))
    (service.folder / "service.json").write_text('{"port": 6789, "address": "::"}')
    (service.folder / "status.json").write_text('{"phase": "running", "mood": "good"}')
    assert service.generation.spec.models == ("vector:1",)
    assert (service.port, service.status) == (6789, Status("running"))


def test_a_status_is_read_as_it_was_written(add):
    service = add("vector")
    status = Status("failed", supervisor=7, triton=None)
    write_status(service.folder, status)
    assert service.status == status


def test_the_models_of_a_damaged_service_are_not_taken_for_unused(add, home):
    cut(add("bad"), "generations/1/spec.json")
    with pytest.raises(DeploymentError, match=r"service 'bad' cannot be read: .*spec\.json"):
        used_models(home)
