"""``trihook score``: a client of the scoring host."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import click

from trihook.cli.files import read_input
from trihook.cli.options import Seconds, header_option, json_option
from trihook.cli.tables import format_table
from trihook.client import ScoringClient, ScoringReply, authorization
from trihook.errors import HostError, TrihookError

_MANY = 10  # files, from which on a progress bar is worth its line


@dataclass(frozen=True, slots=True)
class _Result:
    file: str
    model: str = ""
    milliseconds: float = 0.0
    reply: Any = None
    error: dict[str, Any] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the file, and each item in it, was scored."""
        items = self.reply.get("predictions") if isinstance(self.reply, dict) else None
        failed = isinstance(items, list) and any(
            isinstance(item, dict) and "error" in item for item in items
        )
        return self.error is None and not failed


def _check_key(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    try:
        authorization(value)
    except ValueError as exc:
        raise click.BadParameter(str(exc), ctx, param) from exc
    return value


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--url",
    default="http://localhost:5001/score",
    show_default=True,
    help="The scoring URI; what stands behind ? in it is sent along.",
)
@click.option("--model", help="The model that is to score the files.")
@click.option(
    "--key",
    envvar="TRIHOOK_KEY",
    callback=_check_key,
    help="Bearer key of the endpoint.  [env: TRIHOOK_KEY]",
)
@click.option("--timeout", default=60.0, show_default=True, type=Seconds())
@header_option
@json_option
def score(
    files: tuple[Path, ...],
    url: str,
    model: str | None,
    key: str | None,
    timeout: float,
    headers: dict[str, str],
    as_json: bool,
) -> None:
    """Send each FILE (a picture, a text or JSON) to a scoring URI, and print the replies.

    The result is a table, or with --json a line of JSON for each file. The status is 1 if
    a file, or an item in one, could not be scored.
    """
    try:
        client = ScoringClient(_with_model(url, model), key, timeout=timeout, headers=headers)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--url") from exc
    results = []
    progress: Any = nullcontext(files)
    if len(files) >= _MANY and sys.stderr.isatty():
        progress = click.progressbar(files, label="scoring", file=sys.stderr)
    with progress as shown:
        for result in _score(client, shown):
            if as_json:
                click.echo(json.dumps(_as_object(result), ensure_ascii=False))
            results.append(result)
    if not as_json:
        click.echo(_as_table(results))
    if not all(result.is_whole for result in results):
        sys.exit(1)


def _with_model(url: str, model: str | None) -> str:
    """Return the URI that scores with ``model``: a further part of the path."""
    if not model:
        return url
    parts = urlsplit(url if "://" in url else f"http://{url}")
    path = (parts.path or "/score").rstrip("/")
    return urlunsplit(parts._replace(path=f"{path}/{quote(model, safe='')}"))


def _score(client: ScoringClient, files: Iterable[Path]) -> Iterator[_Result]:
    for path in files:
        file = read_input(path)
        try:
            reply = client.score(file.data, file.media_type)
        except HostError as exc:
            error = {"message": exc.message, "status": exc.status, "code": exc.code}
            yield _Result(str(path), error=error)
        except TrihookError as exc:
            yield _Result(str(path), error={"message": str(exc)})
        else:
            total = sum(reply.stages.values())
            yield _Result(str(path), reply.model, total, _readable(reply))


def _readable(reply: ScoringReply) -> Any:
    if not isinstance(reply.value, bytes):
        return reply.value
    try:
        return reply.value.decode()
    except UnicodeDecodeError:
        return f"{len(reply.value)} bytes of {reply.media_type or 'no media type'}"


def _as_object(result: _Result) -> dict[str, Any]:
    if result.error:
        return {"file": result.file, "error": result.error}
    return {
        "file": result.file,
        "model": result.model,
        "milliseconds": round(result.milliseconds, 2),
        "reply": result.reply,
    }


def _as_table(results: Iterable[_Result]) -> str:
    width = shutil.get_terminal_size((100, 24)).columns
    rows = [
        (r.file, r.model, "", f"error: {r.error['message']}")
        if r.error
        else (r.file, r.model, f"{r.milliseconds:.1f}", json.dumps(r.reply, ensure_ascii=False))
        for r in results
    ]
    table = format_table(("FILE", "MODEL", "MS", "REPLY"), rows)
    return "\n".join(
        line if len(line) <= width or not sys.stdout.isatty() else line[: width - 1] + "…"
        for line in table.splitlines()
    )
