"""The interpreter: takes what is due for the graphs of an app, and has it committed, step by step.

A step that fails is rolled back whole. When it was a conflict or a lost connection, it is simply
taken again. Else the batch is halved until the message that cannot be applied stands alone; that
one is put aside as a dead letter, with its error, and its job ends with the error too: nothing
waits in silence.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from durable.engine.steps.graph_steps import GraphSteps, Step
from durable.engine.steps.graph_writes import Written
from durable.postgres.errors import Conflict, ConnectionLost
from durable.protocol.codes import FAILED
from durable.protocol.graphs import Fault
from durable.streams.pacing import Pace
from durable.telemetry.logs import logger

Felt = Callable[[Mapping[str, int], float], None]


class Interpreter:
    """Moves the jobs of one app.

    Args:
        told: called with what each committed step has written.
        pace: how fast messages may be claimed; the same that `steps` claims by.
        felt: called after each step with its messages, counted by type, and its milliseconds.

    `applied` and `buried` count the messages.
    """

    def __init__(
        self,
        steps: GraphSteps,
        app_id: str,
        told: Callable[[Written], None],
        pace: Pace | None = None,
        felt: Felt | None = None,
    ) -> None:
        self._steps = steps
        self._app_id = app_id
        self._told = told
        self._pace = pace or Pace("")
        self._felt = felt
        self.applied = self.buried = 0

    async def drain(self) -> bool:
        """Apply all that is due; whether another engine held some of it: look again soon.

        Throttled, it is one step.
        """
        while True:
            step = await self._apply(None)
            if not step.claimed or self._pace.delay > 0:
                return False
            if step.skipped == len(step.claimed):
                return True

    async def _apply(self, only: Sequence[int] | None) -> Step:
        step = Step()
        began = asyncio.get_running_loop().time()
        error = await _outcome(self._steps.apply(self._app_id, step, only))
        if self._felt is not None and step.kinds:
            self._felt(step.kinds, (asyncio.get_running_loop().time() - began) * 1000)
        if error is None:
            self.applied += len(step.claimed) - step.skipped
            self._told(step.written)
            return step
        if isinstance(error, ConnectionLost | Conflict) or not step.claimed:
            raise error
        if len(step.claimed) > 1:
            middle = len(step.claimed) // 2
            for half in (step.claimed[:middle], step.claimed[middle:]):
                await self._apply(half)
        elif only is None or len(only) > 1:
            await self._apply(step.claimed)
        else:
            await self._bury(step.claimed[0], error)
        return step

    async def _bury(self, message_id: int, error: BaseException) -> None:
        logger.error(
            "message %d of app %r cannot be applied and was put aside: %s",
            message_id,
            self._app_id,
            error,
            exc_info=error,
        )
        self.buried += 1
        stack = "".join(traceback.format_exception(error))
        described = Fault(FAILED, f"{type(error).__name__}: {error}", stack=stack)
        self._told(await self._steps.bury(message_id, described))


async def _outcome(action: Coroutine[Any, Any, None]) -> BaseException | None:
    """What an action raised, None when it went well; cancelled, it is over before we are."""
    task = asyncio.create_task(action)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task})
        raise
    return task.exception()
