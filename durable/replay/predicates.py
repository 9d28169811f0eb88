"""The predicates of `wait_until`, which the loop tries at the end of each drain."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context

from durable.replay.steps import Steps
from durable.replay.tasks import RunFuture
from durable.runtime.interrupts import is_interrupt


class Predicates:
    """The predicates for which a run waits, in the order in which it began to wait."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._waiting: list[tuple[Callable[[], bool], RunFuture, Context]] = []

    def __len__(self) -> int:
        """How many there are."""
        return len(self._waiting)

    def add(self, predicate: Callable[[], bool], future: RunFuture) -> None:
        """Settle `future` when `predicate` is true, called in the context of now."""
        self._waiting.append((predicate, future, copy_context()))

    def clear(self) -> None:
        """Forget them all."""
        self._waiting.clear()

    def settle_first(self) -> bool:
        """Settle the first that is true, so that it still is when its waiter goes on."""
        if not self._waiting:
            return False
        self._waiting = [waiting for waiting in self._waiting if not waiting[1].done()]
        with self._steps.freeze("the predicate of wait_until()"):
            for predicate, future, context in self._waiting:
                try:
                    if context.run(predicate):
                        future.set_result(None)
                        return True
                except StopIteration as exc:  # which futures refuse, as generators do
                    error = RuntimeError("the predicate of wait_until() raised StopIteration")
                    error.__cause__ = exc
                    future.set_exception(error)
                    return True
                except BaseException as exc:  # the waiter gets it
                    if is_interrupt(exc):
                        raise
                    future.set_exception(exc)
                    return True
        return False
