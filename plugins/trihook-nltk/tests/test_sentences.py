"""Trained parameters are used where they are installed, and nowhere else."""

import os

import pytest
from trihook_nltk import sentences


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install parameters for Estonian that know one abbreviation."""
    folder = tmp_path / "tokenizers" / "punkt_tab" / "estonian"
    folder.mkdir(parents=True)
    (folder / "abbrev_types.txt").write_text("lk\n", encoding="utf-8")
    (folder / "collocations.tab").write_text("##number##\tmai\n", encoding="utf-8")
    (folder / "ortho_context.tab").write_text("see\t46\n", encoding="utf-8")
    (folder / "sent_starters.txt").write_text("kuid\n", encoding="utf-8")
    monkeypatch.setenv("NLTK_DATA", str(tmp_path))
    sentences._splitter.cache_clear()
    yield folder
    sentences._splitter.cache_clear()


def split(text, language):
    return [text[start:end] for start, end in sentences.split_sentences(text, language)]


def test_installed_parameters_decide_where_sentences_end(installed):
    assert split("Vt. lk. 5 all. See on 3. mai.", "estonian") == [
        *("Vt.", "lk. 5 all.", "See on 3. mai."),
    ]


def test_a_folder_with_a_file_missing_does_not_count_as_installed(installed):
    (installed / "sent_starters.txt").unlink()
    assert sentences.find_parameters("estonian") is None
    assert split("Vt. lk. 5 all.", "estonian") == ["Vt.", "lk.", "5 all."]


def test_a_folder_that_cannot_be_looked_into_does_not_count_as_installed(installed, monkeypatch):
    too_long = installed / ("x" * 300)
    monkeypatch.setenv("NLTK_DATA", f"{too_long}{os.pathsep}{installed.parents[2]}")
    assert sentences.find_parameters("estonian") == installed


def test_parameters_of_another_language_are_not_taken(installed):
    assert sentences.find_parameters("finnish") is None


@pytest.mark.parametrize("mark", ["\x0c", "\x1c", "\x85", "\u2028"])
def test_only_a_newline_ends_a_line_of_the_parameters(installed, mark):
    (installed / "abbrev_types.txt").write_text(f"lk\nx{mark}y\n", encoding="utf-8")
    (installed / "ortho_context.tab").write_text(f"x{mark}y\t46\nsee\t46\n", encoding="utf-8")
    parameters = sentences._splitter("estonian")._params
    assert parameters.abbrev_types == {"lk", f"x{mark}y"}
    assert parameters.ortho_context == {f"x{mark}y": 46, "see": 46}


@pytest.mark.parametrize("language", ["estonian", "english"])
def test_nothing_is_kept_of_the_texts_that_are_cut(installed, language):
    parameters = vars(sentences._splitter(language)._params)
    before = {name: len(kept) for name, kept in parameters.items()}
    split("Lk. Xyzzy. Mr. Plugh. Z. Frotz. On 3. gnusto.", language)
    assert {name: len(kept) for name, kept in parameters.items()} == before


@pytest.mark.parametrize("text", ["x" * 50_000, "a. " * 20_000, "\n" * 50_000, "語。 " * 20_000])
def test_a_long_text_is_read_in_blocks_that_leave_nothing_out(text):
    blocks = list(sentences._blocks(text))
    assert "".join(text[start:end] for start, end in blocks) == text
    assert max(end - start for start, end in blocks) <= 16_384
