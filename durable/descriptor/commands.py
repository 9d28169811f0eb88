"""The commands of a workflow's function, and the names of the activities behind them.

A graph of functions is a trigger, the function (its one reentrant activity), and an activity for
each command. A turn of the function answers with code 202 once per command, `data.command` names
it, and the transition with that name leads to the activity that carries it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic.alias_generators import to_camel

from durable.protocol.codes import PENDING
from durable.protocol.options import TIMEOUTS as OPTIONS

START: Final = ".start"
ACTIVITY: Final = ".activity"
CHILD: Final = ".child"
TIMER: Final = ".timer"
GRAPH: Final = ".graph"
SIGNAL: Final = ".signal"

Plain = Mapping[str, Any]
"""A part of a generated descriptor as plain data, as YAML shows it."""

Draft = dict[str, Any]
"""The same, to be filled."""

RETRY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "maximumAttempts": "maximum_attempts",
        "backoffCoefficient": "backoff_coefficient",
        "maximumInterval": "maximum_interval",
        "initialInterval": "initial_interval",
        "nonRetryable": "non_retryable",
    }
)
"""The fields of a retry policy, and the arguments of `RetryPolicy` that they are."""

TIMEOUTS: Final[Mapping[str, str]] = MappingProxyType(
    {to_camel(f"{name}_timeout"): name for name in OPTIONS}
)
"""The fields that limit the time of an activity, and the options that they are."""

COMMAND: Final = "{$self.output.data.command}"
"""What a transition from a function compares with the name of a command."""


def on_command(command: str, to: str) -> dict[str, object]:
    """The transition of a function for a command."""
    match = {"expected": command, "actual": COMMAND}
    return {"to": to, "conditions": {"code": PENDING, "match": [match]}}


def carried(function: str, field: str) -> str:
    """A reference to what a command of a function carries.

    Example:
        >>> carried("fulfil", "seconds")
        '{fulfil.output.data.seconds}'
    """
    return f"{{{function}.output.data.{field}}}"


def graph_activity(function: str) -> dict[str, object]:
    """The activity behind the hand-written graphs that a function awaits; the queue is their app.

    Releases before it was added stored graphs without it.
    """
    return {"type": "await", **{key: carried(function, key) for key in ("topic", "taskQueue")}}


def is_generated_id(aid: str) -> bool:
    """Whether an id is one that only generated graphs have: it begins with a dot."""
    return aid.startswith(".")
