"""``python -m trihook`` is the ``trihook`` command."""

from trihook.cli.main import main

if __name__ == "__main__":
    main()
