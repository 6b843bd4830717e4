"""Ask what pictures show: ``python -m trihook_densenet.client <scoring URI> <picture> ...``."""

from __future__ import annotations

import argparse
import json
import mimetypes
import sys
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_TIMEOUT_SECONDS = 60
_UNREADABLE = (json.JSONDecodeError, UnicodeDecodeError, LookupError, TypeError)


def classify(uri: str, picture: Path, top: int = 1) -> list[dict[str, Any]]:
    """Post the picture, and return its ``top`` best classes: label, index and score each.

    Raises ``urllib.error.URLError`` if the host cannot be reached or refuses the picture, and
    ``http.client.HTTPException`` if its answer does not come to its end.
    """
    media_type = mimetypes.guess_type(picture.name)[0] or "application/octet-stream"
    separator = "&" if "?" in uri else "?"
    request = urllib.request.Request(  # noqa: S310 - the user names the URI
        f"{uri}{separator}top={top}", picture.read_bytes(), {"Content-Type": media_type}
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - as above
        best: list[dict[str, Any]] = json.load(response)["top"]
    return best


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 1 if any picture has no answer."""
    parser = argparse.ArgumentParser(prog="python -m trihook_densenet.client", description=__doc__)
    parser.add_argument("uri", help="such as http://127.0.0.1:5001/score/efficientnet_lite0")
    parser.add_argument("pictures", nargs="+", type=Path, help="JPEG, PNG or WEBP files")
    parser.add_argument("--top", type=int, default=1, help="how many labels to show, best first")
    options = parser.parse_args(arguments)
    answered = [_show(options.uri, picture, options.top) for picture in options.pictures]
    return 0 if all(answered) else 1


def _show(uri: str, picture: Path, top: int) -> bool:
    try:
        for found in classify(uri, picture, top):
            sys.stdout.write(f"{picture.name}: {found['label']} {found['score']:.2f}\n")
    except (OSError, HTTPException, ValueError, *_UNREADABLE) as exc:
        sys.stderr.write(f"{picture.name}: {_explain(exc)}\n")
        return False
    return True


def _explain(exc: Exception) -> str:
    """Return the host's own message where it sent one."""
    if isinstance(exc, urllib.error.HTTPError):
        try:
            return f"{exc.code}, {json.load(exc)['message']}"
        except (OSError, HTTPException, *_UNREADABLE):
            return str(exc)
    if isinstance(exc, _UNREADABLE):
        return "the host answered with something else than classes"
    return str(exc)


if __name__ == "__main__":
    sys.exit(main())
