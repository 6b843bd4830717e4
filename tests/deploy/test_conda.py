"""What is read from conda files, without installing it."""

import pytest
from trihook import DeploymentError
from trihook.deploy import conda as module
from trihook.deploy.conda import copy_requirements, digest_requirements, write_requirements


@pytest.fixture
def conda(tmp_path, monkeypatch):
    """Write a conda file and return its requirements; trihook counts as packed already."""
    monkeypatch.setattr(
        module, "pack_wheels", lambda needed: {f"{r.name}.whl": b"" for r in needed}
    )

    def read(text, folder="out"):
        file = tmp_path / "conda.yml"
        file.write_text(text)
        (tmp_path / folder).mkdir()
        write_requirements(file, tmp_path / folder)
        return (tmp_path / folder / "requirements.txt").read_text().splitlines()

    return read


def test_trihook_is_added(conda):
    assert conda("dependencies: [{pip: [nltk==3.9]}]") == ["./wheels/trihook.whl", "nltk==3.9"]


def test_what_was_installed_from_a_folder_is_packed(conda):
    assert conda("dependencies: [{pip: [nltk, trihook-nltk]}]") == [
        "./wheels/trihook-nltk.whl",
        "./wheels/trihook.whl",
        "nltk",
    ]


def test_files_in_the_list_are_copied(conda, tmp_path):
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "trihook-9.0-py3-none-any.whl").write_bytes(b"wheel")
    text = "dependencies: [python=3.11, pip, {pip: [./wheels/trihook-9.0-py3-none-any.whl, six]}]"
    assert conda(text) == ["./wheels/trihook-9.0-py3-none-any.whl", "six"]
    assert (tmp_path / "out" / "wheels" / "trihook-9.0-py3-none-any.whl").read_bytes() == b"wheel"


@pytest.mark.parametrize("name", ["", "acme @ "])
def test_a_wheel_at_an_address_is_left_to_pip(conda, name):
    line = f"{name}https://example.org/acme-1.0-py3-none-any.whl"
    assert conda(f"dependencies: [{{pip: ['{line}']}}]") == ["./wheels/trihook.whl", line]


@pytest.mark.parametrize("name", ["", "trihook @ "])
def test_a_trihook_at_an_address_is_the_one(conda, name):
    line = f"{name}https://example.org/trihook-9.0-py3-none-any.whl"
    assert conda(f"dependencies: [{{pip: ['{line}']}}]") == [line]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dependencies: [", "is not YAML"),
        ("[]", "has no list 'dependencies'"),
        ("dependencies: {pip: []}", "has no list 'dependencies'"),
        ("dependencies: [{pip: nltk}]", "is not a list of texts"),
        ("dependencies: [{pip: [1]}]", "is not a list of texts"),
        ("dependencies: [{pip: [./absent.whl]}]", "there is no file .*/absent.whl"),
    ],
)
def test_a_file_that_says_nothing_usable_is_refused(conda, text, said):
    with pytest.raises(DeploymentError, match=said):
        conda(text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DeploymentError, match=r"conda file .*/absent.yml does not exist"):
        write_requirements(tmp_path / "absent.yml", tmp_path)


def test_a_copy_has_the_same_digest_and_another_list_does_not(conda, tmp_path):
    conda("dependencies: [{pip: [six]}]", "one")
    conda("dependencies: [{pip: [six, toolz]}]", "two")
    (tmp_path / "copy").mkdir()
    copy_requirements(tmp_path / "one", tmp_path / "copy")
    assert digest_requirements(tmp_path / "copy") == digest_requirements(tmp_path / "one")
    assert digest_requirements(tmp_path / "two") != digest_requirements(tmp_path / "one")


def test_files_of_requirements_are_read_as_pip_would(conda, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "requirements.txt").write_text(
        "# all of it\nnltk==3.9  # words\n\n-r more/others.txt\n./a-1.whl\npandas \\\n  ==2.0\n"
    )
    (tmp_path / "more" / "others.txt").write_text("--requirement=last.txt\nattrs\n")
    (tmp_path / "more" / "last.txt").write_text("click#egg\n")
    (tmp_path / "a-1.whl").touch()
    assert conda("dependencies: [{pip: [-r requirements.txt, --pre]}]") == [
        "./wheels/a-1.whl",
        "./wheels/trihook.whl",
        "nltk==3.9",
        "click#egg",
        "attrs",
        "pandas   ==2.0",
        "--pre",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("-e .", "lists '-e .', which is not taken"),
        ("--editable=../x", "is not taken"),
        ("-c constraints.txt", "is not taken: list packages, wheels or -r FILE"),
        ("--find-links ./wheels", "is not taken"),
        ("-r no-such-file.txt", "which cannot be read: .*no-such-file.txt"),
        ("-r round.txt", "round.txt lists '-r round.txt', which leads back to it"),
    ],
)
def test_options_that_lead_nowhere_are_refused(conda, tmp_path, line, problem):
    (tmp_path / "round.txt").write_text("-r round.txt")
    with pytest.raises(DeploymentError, match=problem):
        conda(f"dependencies: [{{pip: ['{line}']}}]")


@pytest.mark.parametrize("line", ["--find-links https://x/wheels", "--extra-index-url https://x"])
def test_options_with_an_address_are_handed_on(conda, line):
    assert conda(f"dependencies: [{{pip: ['{line}']}}]")[-1] == line
