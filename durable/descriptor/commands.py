"""The commands of a workflow's function, and the names of the activities behind them.

A graph of functions is a trigger, the function (its one reentrant activity), and an activity for
each command. A turn of the function answers with code 202 once per command, `data.command` names
it, and the transition with that name leads to the activity that carries it out.
"""

from __future__ import annotations

from typing import Final

START: Final = ".start"
ACTIVITY: Final = ".activity"
CHILD: Final = ".child"
TIMER: Final = ".timer"
SIGNAL: Final = ".signal"

COMMAND: Final = "{$self.output.data.command}"
"""What a transition from a function compares with the name of a command."""


def is_generated_id(aid: str) -> bool:
    """Whether an id is one that only generated graphs have: it begins with a dot."""
    return aid.startswith(".")
