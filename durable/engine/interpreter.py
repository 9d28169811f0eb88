"""The interpreter: takes what is due for the graphs of an app, and has it committed, step by step.

A step that fails is rolled back whole. When it was a conflict or a lost connection, it is simply
taken again. Else the batch is halved until the message that cannot be applied stands alone; that
one is put aside as a dead letter, with its error, and its job ends with the error too: nothing
waits in silence.

What takes the process down says nothing, and the next engine takes it up. So after an engine of the
app has died, the others apply messages one by one for a while, and count each try beforehand. A
message that three engines died of is put aside like one that cannot be applied.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from durable.engine.steps.graph_steps import TRIES_MAX, GraphSteps, Step
from durable.engine.steps.graph_writes import Written
from durable.errors import DatabaseError
from durable.postgres.errors import StatementFault, retryable
from durable.postgres.retrying import retry_until_connected
from durable.protocol.codes import FAILED
from durable.protocol.graphs import Fault
from durable.runtime.supervision import FAILURES_MAX
from durable.streams.pacing import Pace
from durable.telemetry.logs import logger

CAREFUL = 10.0  # seconds after the death of an engine was noticed
DEADLY = (
    f"{TRIES_MAX} engines in a row died while they applied a message of this job: look for what its"
    " data does to the process (memory, native crashes, exits)"
)

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
        self._failures: Counter[int] = Counter()
        self.applied = self.buried = 0
        self._careful_until: float | None = None

    async def drain(self) -> bool:
        """Apply all that is due; whether another engine held some of it: look again soon.

        Throttled, it is one step.
        """
        while True:
            if await self._is_careful():
                went_on = await self._apply_one()
                if went_on is not None or self._pace.delay > 0:
                    return bool(went_on)
                continue
            step = await self._apply(None)
            if step.engine_lost:
                self._begin_to_be_careful()
                continue
            if not step.claimed or self._pace.delay > 0:
                return False
            if step.skipped == len(step.claimed):
                return True

    def _begin_to_be_careful(self) -> None:
        logger.warning(
            "an engine of app %r died: messages are applied one by one for %d s",
            self._app_id,
            CAREFUL,
        )
        self._careful_until = asyncio.get_running_loop().time() + CAREFUL

    async def _is_careful(self) -> bool:
        if self._careful_until is None:
            return False
        if asyncio.get_running_loop().time() < self._careful_until:
            return True
        await self._steps.forget_lost_engines(self._app_id)
        self._careful_until = None
        return False

    async def _apply_one(self) -> bool | None:
        """Apply the next message alone; False: there is none, True: another engine holds it."""
        chosen = await self._steps.choose(self._app_id)
        if chosen is None:
            return False
        message_id, tries = chosen
        if tries >= TRIES_MAX:
            await self._put_aside(message_id, Fault(FAILED, DEADLY), None)
            return None
        step = Step()
        try:
            step = await self._apply([message_id])
        finally:
            if not step.claimed or step.skipped:
                await retry_until_connected(lambda: self._steps.uncount_try(message_id))
        return None if step.claimed and not step.skipped else True

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
        if not step.claimed or self._passes(error, step.claimed):
            raise error
        if len(step.claimed) > 1:
            middle = len(step.claimed) // 2
            waiting: DatabaseError | None = None
            for half in (step.claimed[:middle], step.claimed[middle:]):
                try:
                    await self._apply(half)
                except DatabaseError as later:  # the other half need not wait for this one
                    waiting = later
            if waiting is not None:
                raise waiting
        elif only is None or len(only) > 1:
            await self._apply(step.claimed)
        else:
            await self._bury(step.claimed[0], error)
        return step

    def _passes(self, error: BaseException, claimed: Sequence[int]) -> bool:
        """Whether an error says nothing of the messages, and they are to be taken again later.

        A bug in a statement, or a table that is away, may yet pass: a message that meets one is put
        aside only when it has done so, alone, as often as a task of a host may fail.
        """
        if not isinstance(error, DatabaseError) or isinstance(error, StatementFault):
            return False
        if retryable(error, host=True):
            return True
        if len(claimed) > 1:
            return False
        self._failures[claimed[0]] += 1
        return self._failures[claimed[0]] < FAILURES_MAX

    async def _bury(self, message_id: int, error: BaseException) -> None:
        stack = "".join(traceback.format_exception(error))
        described = Fault(FAILED, f"{type(error).__name__}: {error}", stack=stack)
        await self._put_aside(message_id, described, error)

    async def _put_aside(self, message_id: int, fault: Fault, error: BaseException | None) -> None:
        logger.error(
            "message %d of app %r cannot be applied and was put aside: %s",
            message_id,
            self._app_id,
            fault.message,
            exc_info=error,
        )
        self.buried += 1
        self._failures.pop(message_id, None)
        self._told(await self._steps.bury(message_id, fault))


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
