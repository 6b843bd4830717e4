"""Records: JSON files that hold one dataclass each."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

Record = TypeVar("Record")


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
