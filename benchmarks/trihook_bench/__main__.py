"""``python -m trihook_bench``."""

from trihook_bench.cli import cli

cli()
