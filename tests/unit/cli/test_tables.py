"""Tables: folded within a terminal, whole and without colour anywhere else, harmless everywhere."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable

import pytest
from rich.table import Table

from durable.cli.output import Output
from durable.cli.tables import columns, laid_out, state_cell
from durable.telemetry.terminal import shown

LONG = "order-" + "0123456789" * 12
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def table(ids: Iterable[str]) -> Table:
    """Runs by their ids."""
    made = columns("ID", "STATE", whole=("STATE",))
    for one in ids:
        made.add_row(shown(one), state_cell("failed"))
    return made


def test_a_pipe_gets_rows_whole_and_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is one line, whatever its length and whatever the environment says of colours."""
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("FORCE_COLOR", "1")
    lines = laid_out([table([LONG, "a"]), "… and more"], io.StringIO()).split("\n")
    assert lines == [
        f"ID{' ' * (len(LONG) - 2)}  STATE",
        f"{LONG}  failed",
        f"a{' ' * (len(LONG) - 1)}  failed",
        "… and more",
    ]


@pytest.mark.parametrize("width", [30, 60, 200])
def test_a_terminal_gets_all_of_it_within_its_width(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit goes on in the next line: nothing is cut off, and states are coloured."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = laid_out([table([LONG])], Terminal())
    assert "\x1b[31m" in text
    lines = COLOURS.sub("", text).split("\n")
    assert max(map(len, lines)) <= width
    assert "".join(line.split(" ")[0] for line in lines[1:]) == LONG


def test_markup_and_controls_of_others_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither rich's markup nor escape sequences nor emoji codes within a cell are obeyed."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    text = laid_out([table(["[red]x[/red] :smile: \x1b[2J\u202e"])], Terminal())
    assert r"[red]x[/red] :smile: \x1b[2J\u202e  failed" in COLOURS.sub("", text)


def test_progress_is_a_line_that_turns_or_notes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal shows how far it is in place, a file gets lines, a script gets nothing."""
    for as_json, said in ((False, "3 runs so far\n"), (True, "")):
        with Output(as_json).progress() as show:
            show("3 runs so far")
        assert capsys.readouterr().err == said
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Output().progress() as show:
        show("3 runs\x1b[2J so far")
    assert r"3 runs\x1b[2J so far" in COLOURS.sub("", terminal.getvalue())
