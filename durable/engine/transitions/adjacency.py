"""Which activities follow an answer."""

from __future__ import annotations

from dataclasses import dataclass

from durable.engine.effects import Answer
from durable.engine.job import ActivityContext
from durable.errors import DescriptorError


@dataclass(frozen=True, slots=True)
class Successors:
    """What follows: `children` are entered; `fatal`: the error ends the job."""

    children: tuple[str, ...]
    fatal: bool = False


def successors(context: ActivityContext, answer: Answer) -> Successors:
    """The transitions that the answer's code and data fulfil.

    A transition without conditions accepts every successful answer. An error without a matching
    transition ends the job; the error of a child of a reentrant activity goes to that activity.
    """
    failed = answer.error is not None
    children = context.node.routes.select(answer.code, context.evaluate, failed=failed)
    return Successors(children, fatal=failed and not children)


def threshold(context: ActivityContext) -> int:
    """With how many open branches, or fewer, the job is done: before it is entered, or after."""
    found = context.value(context.node.status_threshold, 0)
    if isinstance(found, bool) or not isinstance(found, int):
        raise DescriptorError(
            f"statusThreshold must be a whole number, and is {found!r} in job {context.job.jid!r}"
        )
    return found
