"""Which activities follow an answer."""

from __future__ import annotations

from dataclasses import dataclass

from durable.engine.effects import Answer
from durable.engine.job import Scene


@dataclass(frozen=True, slots=True)
class Next:
    """What follows: `children` are entered; `fatal` means that nobody took the error."""

    children: tuple[str, ...]
    fatal: bool = False


def following(scene: Scene, answer: Answer) -> Next:
    """The transitions that the answer's code and data fulfil.

    An error that no transition takes ends the job; that of a child of a reentrant activity goes
    there.
    """
    children = scene.node.routes.select(answer.code, scene.evaluate)
    return Next(children, fatal=answer.error is not None and not children)
