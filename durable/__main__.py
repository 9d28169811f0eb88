"""`python -m durable`, and the `durable` command."""

from __future__ import annotations

import importlib.util
import sys


def main() -> None:
    """Run the command line; without typer say in one line what to install."""
    if importlib.util.find_spec("typer") is None:
        sys.exit('durable: the command needs typer: pip install "durable-postgres[cli]"')
    from durable.cli.program import run  # noqa: PLC0415 - only now it is known to be importable

    run()


if __name__ == "__main__":
    main()
