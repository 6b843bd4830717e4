"""The texts that the stand-in was trained on can be made again."""

import subprocess
import sys
from pathlib import Path

GENERATE = Path(__file__).parent.parent / "training" / "generate.py"


def generate(seed, count):
    command = [sys.executable, str(GENERATE), str(seed), str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


def test_the_same_seed_makes_the_same_texts():
    assert generate(7, 50) == generate(7, 50)
    assert generate(7, 50) != generate(8, 50)


def test_every_answer_stands_in_its_text():
    examples = generate(1, 200).strip().split("\n\n")
    assert len(examples) == 200
    for example in examples:
        text, query, answer = (line.partition(": ")[2] for line in example.split("\n"))
        assert f" {answer} " in f" {text} "
        assert query
