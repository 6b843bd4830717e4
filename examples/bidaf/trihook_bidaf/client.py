"""Ask a question about a text: ``python -m trihook_bidaf.client URI CONTEXT QUERY``."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

_SHOWN = 1000  # characters of what a server says of an error


def ask(uri: str, context: str, query: str, key: str = "", timeout: float = 30.0) -> dict[str, Any]:
    """Post a context and a query to a scoring URI and return the reply.

    ``timeout`` is in seconds; ``key`` goes along as a bearer token. Raises
    ``urllib.error.HTTPError`` for every status but success, ``urllib.error.URLError`` where
    nobody answers, ``OSError`` (as ``TimeoutError``) or ``http.client.HTTPException`` where the
    answer does not come to its end, and ``ValueError`` for other URIs and other answers than JSON.
    """
    if not uri.startswith(("http://", "https://")):
        raise ValueError(f"expected an http or https URI, got {uri!r}")
    body = json.dumps({"context": context, "query": query}).encode()
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(uri, body, headers)  # noqa: S310  (checked above)
    with urllib.request.urlopen(request, timeout=timeout) as reply:  # noqa: S310  (checked above)
        found: dict[str, Any] = json.load(reply)
    return found


def main() -> int:
    """Print the answer and where it stands; 1 where there is none."""
    parser = argparse.ArgumentParser(prog="python -m trihook_bidaf.client", description=__doc__)
    parser.add_argument("uri", help="such as http://127.0.0.1:5001/score")
    parser.add_argument("context", help="the text, or - to read it from standard input")
    parser.add_argument("query", help="the question")
    parser.add_argument("--key", default="", help="a bearer token")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds, 30 if not given")
    options = parser.parse_args()
    try:
        context = sys.stdin.buffer.read().decode() if options.context == "-" else options.context
    except UnicodeDecodeError as error:
        parser.error(f"the context is not UTF-8: see its byte {error.start}")
    try:
        reply = ask(options.uri, context, options.query, options.key, options.timeout)
        answer = f"{reply['answer']}  [{reply['start']}:{reply['end']}]\n"
    except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
        sys.stderr.write(f"{options.uri} {_explain(error)}\n")
        return 1
    sys.stdout.write(answer)
    return 0


def _explain(error: Exception) -> str:
    """Go on in a sentence that begins with the URI."""
    if isinstance(error, urllib.error.HTTPError):
        return f"answered {error.code}: {_read_start(error) or error.reason}"
    if isinstance(error, urllib.error.URLError):
        return f"cannot be reached: {error.reason}"
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError, LookupError, TypeError)):
        return "answered with something else than an answer to a question"
    return f"cannot be asked: {error}"


def _read_start(error: urllib.error.HTTPError) -> str:
    """Read the first characters of what a server says of an error, as one line."""
    try:
        content = error.read(4 * _SHOWN)  # bytes: a character has up to four
    except (OSError, HTTPException):
        content = b""
    return " ".join(content.decode(errors="replace")[:_SHOWN].split())


if __name__ == "__main__":
    sys.exit(main())
