"""A job as a step sees it: frozen, loaded before and compared after; and what its expressions see.

Everything is JSON at rest: `encode` and `decode` are the only way in and out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from durable.descriptor.expressions.context import Context
from durable.descriptor.expressions.expression import Expression
from durable.descriptor.expressions.paths import JOB, SELF, Reference, walk
from durable.descriptor.expressions.values import UNDEFINED
from durable.descriptor.plan import Node, Plan
from durable.errors import DescriptorError, PayloadError
from durable.protocol.clock import to_datetime
from durable.protocol.codes import OK
from durable.protocol.graphs import Data, Fault, nothing

PENDING = "pending"  # it has an id, and begins when it is resumed
RUNNING = "running"
COMPLETED = "completed"
FAILED = "failed"
INTERRUPTED = "interrupted"


def encode(value: object, what: str) -> str:
    """JSON text of plain data; `what` says in the error whose data it is.

    Raises `PayloadError` for what JSON cannot hold, NaN and infinity included.
    """
    try:
        text = _ENCODER.encode(value)
        text.encode()
    except UnicodeEncodeError:  # half a character: as an escape it is kept as it is
        return json.dumps(value, allow_nan=False, separators=(",", ":"), default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        found = not_finite(value) if isinstance(error, ValueError) else None
        raise PayloadError(f"{what} cannot be written as JSON: {found or error}") from error
    return text


def not_finite(value: object) -> str | None:
    """Where in plain data a number is that JSON cannot hold, and which; None: there is none.

    Example:
        >>> not_finite({"a": [1, math.nan]}), not_finite({"a": 1.5})
        ('a.1 is NaN', None)
    """
    waiting: list[tuple[tuple[str, ...], object]] = [((), value)]
    seen: set[int] = set()  # what holds itself, or the same thing often, is looked into once
    while waiting:
        path, found = waiting.pop()
        if isinstance(found, (Mapping, list, tuple)):
            if id(found) in seen:
                continue
            seen.add(id(found))
        if isinstance(found, float) and not math.isfinite(found):
            named = "NaN" if math.isnan(found) else "Infinity" if found > 0 else "-Infinity"
            return f"{'.'.join(path) or 'it'} is {named}"
        if isinstance(found, Mapping):
            waiting.extend(((*path, str(key)), inner) for key, inner in found.items())
        elif isinstance(found, (list, tuple)):
            waiting.extend(((*path, str(index)), inner) for index, inner in enumerate(found))
    return None


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(
        f"what is of type {type(value).__name__} is no JSON value; give text, numbers,"
        " booleans, None, lists or dicts"
    )


# json.dumps makes an encoder for each call that asks for anything but the defaults.
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
)


def decode(text: str | None) -> Any:
    """The inverse of `encode`; None for no text."""
    return None if text is None else json.loads(text)


def compact(at: float) -> str:
    """A moment as HotMesh writes it: `YYYYMMDDHHmmss.mmm`, in UTC.

    Example:
        >>> compact(0.25)
        '19700101000000.250'
    """
    moment: datetime = to_datetime(at)
    return f"{moment:%Y%m%d%H%M%S}.{moment.microsecond // 1000:03d}"


@dataclass(frozen=True)  # no slots: `changed` copies it
class Job:
    """One run of a graph.

    Args:
        run_id: its number, 0 before it is inserted.
        status: the semaphore. state: running, completed, failed or interrupted.
        input: what it was started with. data: what `job.maps` have written.
        metadata: what was given with the start: trace, parent, expiry.
        entity: the kind of thing that it is about. document: what is known of that.
        attributes: by which it is found.
        put_aside: why a message of it waits until somebody has it delivered again; to look at.
    """

    run_id: int
    jid: str
    app_id: str
    graph: str
    version: str
    status: int = 1
    state: str = RUNNING
    input: Data = field(default_factory=nothing)
    data: Data = field(default_factory=nothing)
    error: Fault | None = None
    metadata: Data = field(default_factory=nothing)
    created_at: float = 0.0
    finished_at: float | None = None
    parent_run_id: int | None = None
    reply_to: tuple[str, ...] = ()
    entity: str | None = None
    document: Data = field(default_factory=nothing)
    attributes: Data = field(default_factory=nothing)
    put_aside: Fault | None = None

    def described(self, trigger: str, now: float) -> dict[str, object]:
        """The job's metadata, with HotMesh's keys."""
        known: dict[str, object] = {
            "jid": self.jid,
            "gid": str(self.run_id),
            "aid": trigger,
            "tpc": self.graph,
            "app": self.app_id,
            "vrs": self.version,
            "jc": compact(self.created_at),
            "ju": compact(self.finished_at or now),
            "js": self.status,
        }
        if self.error is not None:
            known["err"] = self.error.to_dict()
        if self.put_aside is not None:
            known["put_aside"] = self.put_aside.to_dict()
        return {**self.metadata, **known}


@dataclass(frozen=True)  # no slots: `changed` copies it
class Instance:
    """What one activity did in one dimension.

    Args:
        open: whether its second leg takes answers. replies: how many came; counted at the first
            leg's address.
        output, hook: the data that it answered with; None before.
    """

    aid: str
    dad: str
    open: bool = False
    replies: int = 0
    code: int | None = None
    input: Data | None = None
    output: Data | None = None
    hook: Data | None = None
    error: Fault | None = None
    opened_at: float = 0.0
    settled_at: float | None = None


Find = Callable[[Node, str], Instance | None]
"""What an activity did, as it is seen from a dimension below it or its own."""


def _no_instance(_node: Node, _dad: str) -> Instance | None:
    return None


@dataclass(frozen=True)  # no slots: `changed` copies it
class ActivityContext:
    """An activity in its job at a moment: all that a handler may know.

    Args:
        dad: its address; that of an answer, while that answer is mapped.
        find: what it and its ancestors did.
        now: Unix seconds. rng: a number from 0 up to 1.
    """

    plan: Plan
    job: Job
    node: Node
    dad: str
    find: Find = _no_instance
    now: float = 0.0
    rng: Callable[[], float] = lambda: math.nan

    def evaluate(self, expression: Expression) -> object:
        """The value of an expression here, `UNDEFINED` where there is none."""
        return expression.evaluate(Context(self._resolve, lambda: self.now * 1000, self.rng))

    def data(self, maps: Expression | None) -> dict[str, object]:
        """The values of maps, {} where there are none; what is undefined is left out."""
        values = None if maps is None else self.evaluate(maps)
        return dict(values) if isinstance(values, Mapping) else {}

    def value(self, expression: Expression | None, default: object = None) -> Any:
        """The value of an expression, the default where there is none or it has none."""
        found = UNDEFINED if expression is None else self.evaluate(expression)
        return default if found is UNDEFINED or found is None else found

    def text(self, expression: Expression | None, field: str) -> str:
        """The value of an expression that must be text and not empty.

        Raises `DescriptorError`, naming the activity and the field, when it is not.
        """
        found = self.value(expression)
        if not isinstance(found, str) or not found:
            raise DescriptorError(
                f"activity {self.node.id!r}: its {field} must be text, and is {found!r}"
                f" in job {self.job.jid!r}"
            )
        return found

    def code(self, expression: Expression | None, default: int) -> int:
        """The value of an expression that must be a whole number, or else the default."""
        found = self.value(expression, default)
        if isinstance(found, bool) or not isinstance(found, int):
            raise DescriptorError(
                f"activity {self.node.id!r}: its code must be a whole number, and is {found!r}"
                f" in job {self.job.jid!r}"
            )
        return found

    def _resolve(self, reference: Reference) -> object:
        if reference.root == JOB:
            return walk(self._of_job(reference.part), reference.path)
        aid = self.node.id if reference.root == SELF else reference.root
        return walk(self._of_activity(aid, reference), reference.path)

    def _of_job(self, part: str) -> object:
        if part == "data":
            return self.job.data
        if part == "metadata":
            return self._described()
        return self.job.document if part == "entity" else self.job.attributes

    def _described(self) -> dict[str, object]:
        return self.job.described(self.plan.trigger, self.now)

    def _of_activity(self, aid: str, reference: Reference) -> object:
        node = self.plan.nodes.get(aid)
        instance = None if node is None else self.find(node, self.dad)
        if instance is None and aid == self.plan.trigger == self.node.id:
            instance = began(self.job, aid, self.dad)
        if node is None or instance is None:
            return UNDEFINED
        if reference.part == "metadata":
            return _metadata(node, instance)
        if reference.section == "input":
            return self.job.input
        data = instance.output if reference.section == "output" else instance.hook
        return UNDEFINED if data is None else data


def began(job: Job, trigger: str, dad: str) -> Instance:
    """What the trigger of a job did; it has a row of its own only if it maps its output."""
    return Instance(
        trigger,
        dad,
        replies=1,
        code=OK,
        input=job.input,
        output=job.input,
        opened_at=job.created_at,
        settled_at=job.created_at,
    )


def _metadata(node: Node, instance: Instance) -> dict[str, object]:
    out: dict[str, object] = {
        "aid": node.id,
        "atp": node.kind.value,
        "dad": instance.dad,
        "ac": compact(instance.opened_at),
    }
    if instance.settled_at is not None:
        out["au"] = compact(instance.settled_at)
    if instance.code is not None:
        out["code"] = instance.code
    if instance.error is not None:
        out["err"] = instance.error.to_dict()
    return out
