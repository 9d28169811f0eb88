"""The arguments of `durable start`, and the options that the reference lists."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

import durable
from durable.cli.program import program
from durable.cli.runs import _called
from durable.errors import ConfigurationError

REFERENCE = Path(__file__).parents[3] / "docs" / "reference.md"
SHARED = {"--dsn", "--namespace", "--json", "--help"}


@durable.workflow
async def needy(x: int, y: str, z: int = 3) -> str:
    """Two arguments that it needs, and one that it does not."""
    return f"{x}{y}{z}"


@pytest.mark.parametrize(
    ("args", "missing"), [([], "x, y"), ({}, "x, y"), ([1], "y"), ({"y": "a"}, "x")]
)
def test_arguments_that_are_missing_are_named(args: object, missing: str) -> None:
    """The message names them and the option, not the type that they would be read as."""
    with pytest.raises(ConfigurationError, match=rf"needy\(\) needs {missing}: give --args"):
        _called(needy, args)


@pytest.mark.parametrize("command", ["worker", "deploy", "list"])
def test_the_reference_lists_the_options_of_a_command(command: str) -> None:
    """The table of commands has each option but those that all commands share."""
    (row,) = [
        line
        for line in REFERENCE.read_text("utf-8").splitlines()
        if line.startswith((f"| `durable {command} ", f"| `durable {command}`"))
    ]
    parameters = typer.main.get_group(program).commands[command].params
    options = {o for p in parameters if not getattr(p, "hidden", False) for o in p.opts}
    assert [o for o in options - SHARED if o.startswith("--") and o not in row] == []
