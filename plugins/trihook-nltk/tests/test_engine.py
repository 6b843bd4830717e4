"""NLTK is imported in part, and nobody else notices."""

import json
import subprocess
import sys


def run(code):
    out = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    )
    return json.loads(out.stdout)


def test_importing_the_plugin_runs_no_package_of_nltk():
    code = """
import json, sys, trihook_nltk.hooks
print(json.dumps(sorted(m for m in sys.modules if m.split(".")[0] in ("nltk", "scipy"))))
"""
    assert run(code) == []


def test_nltk_imported_afterwards_is_whole_and_agrees():
    code = """
import json, trihook_nltk, nltk
text = "He said: it's 3.5 (or so)."
print(json.dumps([nltk.word_tokenize(text, preserve_line=True),
                  [t.text for t in trihook_nltk.tokenize(text)], nltk.FreqDist("aab")["a"]]))
"""
    theirs, ours, count = run(code)
    assert theirs == ours
    assert count == 2


def test_nltk_imported_before_is_used_as_it_is():
    code = """
import json, nltk, trihook_nltk.engine as engine
print(json.dumps(engine.punkt is nltk.tokenize.punkt))
"""
    assert run(code) is True


def test_tokenizers_that_need_all_of_nltk_get_it():
    code = """
import importlib, json, sys
real = importlib.import_module
def demanding(name):
    if not getattr(sys.modules.get("nltk"), "FreqDist", None) and "nltk" in sys.modules:
        raise ImportError(name)
    return real(name)
importlib.import_module = demanding
import trihook_nltk.engine as engine
print(json.dumps([engine.punkt.__name__, "nltk.probability" in sys.modules]))
"""
    assert run(code) == ["nltk.tokenize.punkt", True]
