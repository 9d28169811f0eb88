"""Which activities follow an answer."""

from __future__ import annotations

from dataclasses import dataclass

from durable.engine.effects import Answer
from durable.engine.job import Scene
from durable.errors import DescriptorError


@dataclass(frozen=True, slots=True)
class Next:
    """What follows: `children` are entered; `fatal` means that nobody took the error."""

    children: tuple[str, ...]
    fatal: bool = False


def following(scene: Scene, answer: Answer) -> Next:
    """The transitions that the answer's code and data fulfil.

    One without conditions takes every answer that is no error. An error that no transition takes
    ends the job; that of a child of a reentrant activity goes there.
    """
    failed = answer.error is not None
    children = scene.node.routes.select(answer.code, scene.evaluate, failed=failed)
    return Next(children, fatal=failed and not children)


def threshold(scene: Scene) -> int:
    """With how many open branches, or fewer, the job is done: before it is entered, or after."""
    found = scene.value(scene.node.status_threshold, 0)
    if isinstance(found, bool) or not isinstance(found, int):
        raise DescriptorError(
            f"statusThreshold must be a whole number, and is {found!r} in job {scene.job.jid!r}"
        )
    return found
