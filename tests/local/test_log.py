"""What tritonserver's log says about why it ended."""

from __future__ import annotations

from pathlib import Path

from trihook.local.log import explain_failure, read_tail

HARMLESS = (
    'E1122 18:40:03.191335 4083 server.cc:241] "CudaDriverHelper has not been initialized."\n'
)
END = "error: creating server: Internal - failed to load all models\n"


def record(message: str, level: str = "E") -> str:
    return f'{level}1122 18:40:03.192138 4083 model_lifecycle.cc:642] "{message}"\n'


def test_the_model_that_failed_is_named_with_the_reason_and_without_a_traceback() -> None:
    log = HARMLESS + record(
        r"failed to load 'm' version 1: Internal: ValueError: it is \"bad\"\n\nAt:\n  /a.py(1)"
    )
    assert explain_failure(log + END) == "model 'm': Internal: ValueError: it is \"bad\""


def test_each_failed_model_is_named_once() -> None:
    failures = [
        record("failed to load model 'a': no version"),
        record("Poll failed for model directory 'b': no backend"),
        record("failed to load 'c' version 3: broken"),
        record("failed to load 'c'", level="I"),
    ]
    assert explain_failure(HARMLESS + "".join(failures) + END) == (
        "model 'a': no version; model 'b': no backend; model 'c': broken"
    )


def test_without_a_failed_model_the_last_error_is_given() -> None:
    log = HARMLESS + record("failed to start HTTP service: in use") + record("bye", level="I")
    assert explain_failure(log) == "failed to start HTTP service: in use"


def test_without_an_error_the_last_line_outside_tables_is_given() -> None:
    table = "+---+\n| a |\n+---+\n\n"
    assert explain_failure(record("loading", level="I") + table) == "loading"


def test_an_empty_log_is_said_to_be_empty() -> None:
    assert explain_failure("\n") == "its log is empty"


def test_only_what_was_logged_since_the_start_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\nafter\n")
    assert read_tail(log, len("before\n")) == "after\n"
    log.write_bytes(b"x" * 300_000 + b"\xffend")
    assert read_tail(log).endswith("x\ufffdend")
    assert len(read_tail(log)) == 200_000


def test_a_configuration_that_cannot_be_read_is_given_with_what_is_wrong_in_it() -> None:
    log = '[libprotobuf ERROR /a/text_format.cc:337] Error parsing ModelConfig: 1:11: no "max".\n'
    log += record("Poll failed for model directory 'm': failed to read text proto from /m/config")
    assert explain_failure(log + END) == (
        "model 'm': failed to read text proto from /m/config: "
        'Error parsing ModelConfig: 1:11: no "max".'
    )
