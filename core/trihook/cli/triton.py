"""``trihook triton``: a real Triton on this machine, in the foreground."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trihook.cli.options import require_temporary_folder
from trihook.errors import LocalTritonError, RepositoryError

if TYPE_CHECKING:
    from trihook.local import LocalTriton
    from trihook.types import Model

POLL_SECONDS = 0.2
_PORT = click.IntRange(0, 65535)


def _ipv4(ctx: click.Context, param: click.Parameter, value: str) -> str:
    from trihook.local.ports import is_ipv4  # noqa: PLC0415 - only this command needs it

    if not is_ipv4(value):
        raise click.BadParameter(f"{value!r} is not an IPv4 address", ctx, param)
    return value


@click.command()
@click.argument("model_repository", type=click.Path(path_type=Path))
@click.option("--http-port", type=_PORT, default=8000, show_default=True, help="0 picks one.")
@click.option("--grpc-port", type=_PORT, help="Serve gRPC too.")
@click.option("--metrics-port", type=_PORT, help="Serve Prometheus metrics too.")
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    callback=_ipv4,
    help="IPv4 address to listen at.",
)
@click.option(
    "--model-control-mode",
    type=click.Choice(["none", "explicit", "poll"]),
    default="none",
    show_default=True,
    help="none loads all models, explicit those named, poll watches the repository.",
)
@click.option(
    "--load-model",
    "load_models",
    multiple=True,
    metavar="NAME",
    help="Model to load in explicit mode; may be repeated.",
)
@click.option("--log-file", type=click.Path(dir_okay=False), help="Append Triton's log to a file.")
@click.option("-v", "--verbose", is_flag=True, help="Log more, and show Triton's log.")
def triton(model_repository: Path, verbose: bool, **options: Any) -> None:
    """Run a real Triton on MODEL_REPOSITORY, without Docker, until it is interrupted.

    Needs the extra "triton": pip install 'trihook[triton]'. ONNX and Python models are
    served; ONNX models need no config.pbtxt.
    """
    from trihook.local import LocalTriton  # noqa: PLC0415 - only this command needs it

    if options["load_models"] and options["model_control_mode"] != "explicit":
        raise click.UsageError("--load-model needs --model-control-mode explicit")
    require_temporary_folder()
    server = LocalTriton(model_repository, verbose=verbose, **options)
    try:
        with _interrupted_by(signal.SIGTERM, signal.SIGHUP):
            _run(server, show_log=verbose)
    except KeyboardInterrupt:
        return
    except RepositoryError as exc:
        _fail(exc, status=2)
    except LocalTritonError as exc:
        _fail(exc, status=1)


def _run(server: LocalTriton, *, show_log: bool) -> None:
    try:
        server.start()
        if show_log and server.log:
            threading.Thread(target=_follow, args=(server.log,), daemon=True).start()
        server.wait_until_ready()
        _announce(server.url)
        while (status := server.poll()) is None:
            time.sleep(POLL_SECONDS)
        raise LocalTritonError(f"tritonserver ended by itself, with status {status}")
    finally:
        server.stop()


def _announce(url: str) -> None:
    models = _loaded_models(url)
    names = f"models {', '.join(models)}" if models else "no models"
    click.echo(f"Triton is ready at {url} with {names}")
    for model in models.values():
        click.echo(f"  {model}  max batch {model.max_batch_size}")
        click.echo(f"    in   {', '.join(map(str, model.inputs))}")
        click.echo(f"    out  {', '.join(map(str, model.outputs))}")
    sys.stdout.flush()


def _loaded_models(url: str) -> Mapping[str, Model]:
    from trihook.triton.catalog import Catalog  # noqa: PLC0415 - gevent takes its time
    from trihook.triton.client import TritonClient  # noqa: PLC0415 - the same

    client = TritonClient(url)
    try:
        catalog = Catalog(client)
        catalog.refresh()
        return catalog.models
    finally:
        client.close()


def _follow(log: Path) -> None:
    with log.open(errors="replace") as lines:
        while True:
            click.echo(lines.read(), err=True, nl=False)
            time.sleep(POLL_SECONDS)


@contextmanager
def _interrupted_by(*numbers: signal.Signals) -> Iterator[None]:
    """Let these signals do what Ctrl-C does, but for those that nohup has us ignore."""
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, signal.default_int_handler) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fail(error: Exception, status: int) -> None:
    for line in str(error).splitlines():
        click.echo(f"Error: {line}", err=True)
    sys.exit(status)
