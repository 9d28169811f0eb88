"""The code does other things than its history says: finding it, and saying so.

Nothing here is ever raised into user code: it leaves `Run.apply`, and the worker suspends the run.
"""

from __future__ import annotations

import sys
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass

from durable.errors import NonDeterminismError, NotDurableError
from durable.protocol.commands import Finish, Step, kind_of
from durable.protocol.facts import Fact, FactKind
from durable.replay.call_sites import text, waiting_site

STEP_KINDS: Mapping[FactKind, str] = {
    FactKind.ACTIVITY: "activity",
    FactKind.TIMER: "timer",
    FactKind.CHILD: "child",
    FactKind.GRAPH: "graph",
}
"""Facts that settle a step, and the kind of step that each settles."""

_UNKNOWN_END = frozenset({"terminated"})  # ends that come from outside, and say nothing of the code

_ADVICE = (
    "Replay needs the code to take the same steps in the same order. Start a worker with the code"
    " that began this run, or change this code so that runs begun before take the old path: the run"
    " goes on when a worker that serves it starts, or with `durable resume ID`."
)


@dataclass(frozen=True, slots=True)
class ExpectedStep:
    """A step that the store holds as issued and open; `kind` is activity, timer or child."""

    number: int
    kind: str
    name: str = ""


class Where:
    """What a message says of the run beside the step.

    Attributes:
        label: the run and its workflow.
        home: "file:line" of the workflow function, named when no other line can be.
        main: the main coroutine; the line where it waits is looked up when it is wanted.
        hint: a sentence on what else may be the cause.
    """

    __slots__ = ("hint", "home", "label", "main")

    def __init__(self, label: str, home: str) -> None:
        self.label = label
        self.home = home
        self.main: Coroutine[object, object, object] | None = None
        self.hint = ""

    def error(self, step: int, expected: str, got: str, site: str = "") -> NonDeterminismError:
        """The error, in words."""
        place = site or text(waiting_site(self.main)) or self.home
        which = f"step {step}" if step else "the end of the run"
        return NonDeterminismError(
            f"{self.label}: {which} was recorded as {expected}, but the code now has {got},"
            f" at {place}. {self.hint}{_ADVICE}",
            step=step, expected=expected, got=got, site=place,
        )  # fmt: skip


def shown(kind: str, name: str) -> str:
    """A step for a message.

    Example:
        >>> shown("activity", "charge"), shown("timer", "timer")
        ("activity 'charge'", 'a timer')
    """
    return "a timer" if kind == "timer" else f"{kind} {name!r}"


def check_settled(fact: Fact, step: Step | None, issued: int, where: Where) -> None:
    """The fact settles the step that the code issued under its number.

    `step` None means that no such step is open. A number that was issued but is not open belongs
    to a step that user code has abandoned; its answer is of no use, and no fault.
    """
    kind = STEP_KINDS[fact.kind]
    if step is None:
        if not 0 < fact.number <= issued:
            expected = shown(kind, fact.name)
            raise where.error(fact.number, expected, "no such step: it waits")
    elif kind_of(step) != kind or (step.name != fact.name and kind != "timer"):
        expected, got = shown(kind, fact.name), shown(kind_of(step), step.name)
        raise where.error(fact.number, expected, got, step.site)


def check_open(
    expected: Sequence[ExpectedStep], opened: Mapping[int, Step], issued: int | None, where: Where
) -> None:
    """What the store holds open is what the code waits for.

    Args:
        expected: the open steps by the store.
        opened: the open steps by the code.
        issued: the highest number that the store has written down; None: not known.
        where: for the message.
    """
    known = {step.number: step for step in expected}
    for number in sorted(known):
        wanted, step = known[number], opened.get(number)
        named = shown(wanted.kind, wanted.name)
        if step is None:
            raise where.error(number, named, "no such step open: it waits")
        got = shown(kind_of(step), step.name)
        if kind_of(step) != wanted.kind or (wanted.kind != "timer" and wanted.name != step.name):
            raise where.error(number, named, got, step.site)
    for number, step in opened.items():
        if issued is not None and number <= issued and number not in known:
            got = shown(kind_of(step), step.name)
            raise where.error(number, "settled or cancelled", f"{got} open", step.site)


def check_finished(fact: Fact, finished: Finish | None, where: Where) -> None:
    """The run ended as the last fact of its history says."""
    if fact.name in _UNKNOWN_END or (finished is None and _was_reached(fact)):
        return
    if finished is None:
        raise where.error(0, fact.name, "not ended: it waits")
    if finished.state != fact.name:
        raise where.error(0, fact.name, finished.state)


def _was_reached(fact: Fact) -> bool:
    """Whether a thread ended the run by reaching into it, which replay does not do again."""
    return fact.failure is not None and fact.failure.type == NotDurableError.__name__


def after_the_end(fact: Fact, finished: Finish, where: Where) -> NonDeterminismError:
    """The history goes on where the code has ended."""
    kind = STEP_KINDS.get(fact.kind)
    other = f"going on with {fact.kind.value} {fact.name}".rstrip()
    expected = shown(kind, fact.name) if kind else other
    return where.error(fact.number, expected, f"ended already ({finished.state})")


def python_hint(begun: dict[str, object]) -> str:
    """A sentence, if the history was begun by another Python than this one."""
    recorded = begun.get("python")
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if recorded is None or recorded == here:
        return ""
    return (
        f"The run was begun by Python {recorded}, this is {here},"
        " and asyncio differs between them. "
    )
