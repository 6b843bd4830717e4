"""The how-to's commands, options and calls exist, and its page on files names each of them."""

import ast
import inspect
import re
import shlex
from pathlib import Path

import click
import pytest
import trihook.client
import trihook.deploy
import trihook.local
from trihook.cli.main import cli
from trihook.generate.azureml import AssetVersion, Deployment, render_files

DOCS = Path(trihook.__file__).parents[2] / "docs"
PAGES = ("how-to.md", "azure.md", "troubleshooting.md")
CALLS = {
    "Model.register": trihook.deploy.Model.register,
    "LocalService.deploy": trihook.deploy.LocalService.deploy,
    "LocalTriton": trihook.local.LocalTriton,
    "ScoringClient": trihook.client.ScoringClient,
    "service.update": trihook.deploy.LocalService.update,
    "service.wait_for_deployment": trihook.deploy.LocalService.wait_for_deployment,
}


def commands(page):
    """Yield the words of each trihook command on a page."""
    text = (DOCS / page).read_text().replace("\\\n", " ")
    for found in re.findall(r"(?:`|\$ (?:\w+=\S+ )?)(trihook [a-z][^`\n]*)", text):
        yield shlex.split(found.partition(" &")[0])


def resolve(words):
    """Return the click command that the words name, and the words after its name."""
    command, rest = cli, words[1:]
    while isinstance(command, click.Group):
        name, *rest = rest
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"there is no command {name!r} in {words}"
        command = found
    return command, rest


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_exists(page):
    assert list(commands(page))
    for words in commands(page):
        command, rest = resolve(words)
        known = {option for each in command.params for option in each.opts}
        given = {word.partition("=")[0] for word in rest if word.startswith("-")}
        assert given <= known | {"--help"}, f"{words} has unknown options"


def test_every_python_call_has_the_arguments_that_it_is_given():
    text = (DOCS / "how-to.md").read_text()
    seen = set()
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Call) and (call := CALLS.get(ast.unparse(node.func))):
                seen.add(ast.unparse(node.func))
                given = {each.arg for each in node.keywords}
                assert given <= set(inspect.signature(call).parameters), ast.unparse(node)
    assert seen == set(CALLS)


def test_every_file_that_is_generated_is_described():
    deployment = Deployment("abc", (AssetVersion("m", 1),), "score.py", "models", "3.11")
    text = (DOCS / "azure.md").read_text()
    named = {f"`{name}`" for name in render_files(deployment, b"", [], {})}
    assert {name for name in named if name not in text} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_another_page_leads_somewhere(page):
    links = re.findall(r"\]\(([\w-]*\.md)?(?:#([\w-]+))?\)", (DOCS / page).read_text())
    assert links
    for target, anchor in links:
        text = (DOCS / (target or page)).read_text()
        titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
        assert not anchor or anchor in anchors, f"{page} links to {target}#{anchor}"
