"""Records: JSON files that hold one dataclass each."""

from __future__ import annotations

import errno
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter, ValidationError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record")


def encode_record(record: DataclassInstance) -> bytes:
    """Return what a file is to hold for :func:`read_record` to read.

    Raises ``OSError`` for text that no JSON can hold, such as a file's name that is not UTF-8.
    """
    text = json.dumps(asdict(record), indent=2, ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        line = text.split("\n")[text.count("\n", 0, exc.start)].strip()
        raise OSError(errno.EILSEQ, "this is not UTF-8", ascii(line)) from exc


def read_record(file: Path, kind: type[Record]) -> Record:
    """Return what a file holds, without keys that ``kind`` does not have.

    A later trihook may have written those. Raises ``OSError`` also for a file that is damaged:
    whoever asks for it says what that is, as of a file that is not there.
    """
    content = file.read_bytes()
    try:
        return TypeAdapter(kind).validate_json(content)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        problem = f"{place}: {first['msg']}" if place else first["msg"]
        raise OSError(errno.EINVAL, f"the record is damaged, {problem}", str(file)) from exc
