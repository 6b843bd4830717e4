"""Ask a question about a text: ``python -m trihook_bidaf.client URI CONTEXT QUERY``."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from typing import Any


def ask(uri: str, context: str, query: str, key: str = "", timeout: float = 30.0) -> dict[str, Any]:
    """Post a context and a query to a scoring URI and return the reply.

    ``timeout`` is in seconds; ``key`` goes along as a bearer token. Raises
    ``urllib.error.HTTPError`` for every status but success and ``urllib.error.URLError`` where
    nobody answers.
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
    options = parser.parse_args()
    context = sys.stdin.read() if options.context == "-" else options.context
    try:
        reply = ask(options.uri, context, options.query, options.key)
    except urllib.error.HTTPError as error:
        sys.stderr.write(f"{options.uri} answered {error.code}: {error.read(1000).decode()}\n")
        return 1
    except urllib.error.URLError as error:
        sys.stderr.write(f"{options.uri} cannot be reached: {error.reason}\n")
        return 1
    sys.stdout.write(f"{reply['answer']}  [{reply['start']}:{reply['end']}]\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
