"""The error tree is the one that is drawn, and every error can be told apart by its code."""

import errno
import re
import shutil

import pytest
from trihook import errors
from trihook.errors import (
    HookError,
    OverloadedError,
    PayloadError,
    ScoringError,
    TrihookError,
    UnavailableError,
    describe_os_error,
)


def _drawn() -> dict[str, str]:
    """Return each class of the drawing with its parent's name."""
    parents, path = {}, []
    for line in errors.__doc__.splitlines():
        match = re.match(r"( +)((?:[│ ]   )*)(?:[├└]── )?(\w+Error)\b", line)
        if match is None or not line.startswith("    "):
            continue
        depth = (line.index(match[3]) - 4) // 4
        del path[depth:]
        parents[match[3]] = path[-1] if path else "Exception"
        path.append(match[3])
    return parents


def _subclasses(cls: type) -> list[type]:
    return [cls, *(each for child in cls.__subclasses__() for each in _subclasses(child))]


PUBLIC = [cls for cls in _subclasses(TrihookError) if cls.__module__ == errors.__name__]
SCORING = [cls for cls in PUBLIC if issubclass(cls, ScoringError)]


def test_the_drawn_tree_is_the_real_one():
    assert _drawn() == {cls.__name__: cls.__base__.__name__ for cls in PUBLIC}


def test_every_scoring_error_has_a_code_of_its_own():
    codes = [vars(cls).get("code") for cls in SCORING]
    assert None not in codes
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("cls", SCORING)
def test_a_code_is_a_lower_case_word(cls):
    assert re.fullmatch(r"[a-z_]+", cls.code)


@pytest.mark.parametrize("cls", PUBLIC)
def test_names_end_in_error_and_say_what_happened(cls):
    assert cls.__name__.endswith("Error")
    assert cls.__doc__


def test_an_error_holds_message_stage_and_plugin():
    error = PayloadError("no picture", stage="preprocess", plugin="pillow")
    assert (str(error), error.message) == ("no picture", "no picture")
    assert (error.stage, error.plugin) == ("preprocess", "pillow")


def test_a_message_without_end_is_cut():
    error = PayloadError("x" * 5000)
    assert error.message == str(error) == "x" * 4096 + "…"


def test_a_message_is_always_text_that_can_be_sent():
    assert ScoringError("name \udcff, größer").message == "name \\udcff, größer"


def test_stage_and_plugin_are_filled_in_once():
    error = HookError("failed")
    assert error.at("preprocess", "one") is error
    assert error.at("postprocess", "two") is error
    assert (error.stage, error.plugin) == ("preprocess", "one")


def test_a_plugin_may_be_filled_in_after_the_stage():
    assert HookError("failed", stage="preprocess").at("other", "one").plugin == "one"


@pytest.mark.parametrize("cls", [UnavailableError, OverloadedError])
def test_who_is_unavailable_says_when_to_come_back(cls):
    assert cls("later").retry_after >= 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), "no space left on device: /a/b"),
        (shutil.Error([("/a", "/b", "[Errno 28] No space left")]), "[Errno 28] No space left"),
        (shutil.SpecialFileError("`/a` is a named pipe"), "`/a` is a named pipe"),
    ],
)
def test_an_error_of_the_system_is_told_in_few_words(error, said):
    assert describe_os_error(error) == said
