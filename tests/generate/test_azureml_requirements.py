"""The pip list is read from what is installed, and from how it came there."""

import json
from pathlib import Path

import pytest
from trihook import PluginError
from trihook.generate.azureml import Requirement, read_requirements


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that puts a distribution on the path, as pip would leave it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name, *, requires=(), origin=None):
        info = tmp_path / f"{name.replace('-', '_')}-2.5.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 2.5"]
        lines += [f"Requires-Dist: {each}" for each in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        if origin:
            (info / "direct_url.json").write_text(json.dumps(origin))

    return install


def read(*plugins):
    """Return what is required beside the core."""
    core, *others = read_requirements(plugins)
    assert core.name == "trihook"
    return others


def test_the_core_alone_is_required_without_plugins():
    assert read() == []


def test_a_distribution_of_an_index_is_pinned(install):
    install("acme-plugin")
    assert [each.line for each in read("acme-plugin")] == ["acme-plugin==2.5"]


def test_a_plugin_is_listed_once_however_it_is_spelt(install):
    install("acme-plugin")
    assert len(read("acme-plugin", "Acme_Plugin")) == 1


def test_the_order_is_that_of_the_names(install):
    for name in ("acme-b", "acme-c", "acme-a"):
        install(name)
    found = [each.name for each in read("acme-c", "acme-a", "acme-b")]
    assert found == ["acme-a", "acme-b", "acme-c"]


@pytest.mark.parametrize("editable", [True, False])
def test_a_distribution_of_a_folder_names_the_folder(install, editable):
    install("acme-plugin", origin={"url": "file:///src/a%20b", "dir_info": {"editable": editable}})
    assert read("acme-plugin") == [Requirement("acme-plugin", "2.5", folder=Path("/src/a b"))]


def test_a_distribution_of_a_repository_is_pinned_to_its_commit(install):
    install(
        "acme-plugin",
        origin={
            "url": "https://git.example/acme.git",
            "vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": "abc123"},
            "subdirectory": "python",
        },
    )
    assert [each.line for each in read("acme-plugin")] == [
        "acme-plugin @ git+https://git.example/acme.git@abc123#subdirectory=python"
    ]


def test_a_distribution_of_an_archive_keeps_its_address(install):
    url = "https://files.example/acme_plugin-2.5-py3-none-any.whl"
    install("acme-plugin", origin={"url": url, "archive_info": {}})
    assert [each.line for each in read("acme-plugin")] == [f"acme-plugin @ {url}"]


def test_what_a_plugin_needs_is_listed_only_where_no_index_has_it(install):
    folder = {"url": "file:///src/base", "dir_info": {}}
    install("acme-plugin", requires=["acme-published>=1", "acme-middle"])
    install("acme-published")
    install("acme-middle", requires=["Acme.Base ; python_version > '3'"], origin=folder)
    install("acme-base", origin=folder)
    assert [each.name for each in read("acme-plugin")] == [
        "acme-base", "acme-middle", "acme-plugin",
    ]  # fmt: skip


def test_what_only_an_extra_needs_is_not_listed(install):
    install("acme-plugin", requires=["acme-extra ; extra == 'more'", "acme-absent"])
    install("acme-extra", origin={"url": "file:///src/extra", "dir_info": {}})
    assert [each.name for each in read("acme-plugin")] == ["acme-plugin"]


def test_a_plugin_that_is_not_installed_is_named():
    with pytest.raises(PluginError, match="distribution 'acme-absent' is not installed here"):
        read("acme-absent")


def test_the_examples_bring_the_plugins_that_they_are_built_on():
    names = {each.name for each in read("trihook-bidaf", "trihook-densenet")}
    assert names == {"trihook-bidaf", "trihook-densenet", "trihook-nltk", "trihook-pillow"}
