"""The interpreter: claims the due messages of an app's graphs and commits their steps.

A step that fails is rolled back whole. After a conflict or a lost connection it is repeated. After
any other error the batch is halved until the failing message stands alone; that message is
dead-lettered with its error, and its job ends with the same error.

A message that crashes or blocks the process raises no error, and the next engine claims it. The
rolled-back transaction leaves a mark in the rows: a message that an engine claimed and did not
finish is applied alone from then on, reserved by the member that applies it. The other messages of
the batch clear themselves by their own success, and the reservation of a reaped member names the
message that stopped it. A message that stopped three members is dead-lettered, and its job waits
until the message is delivered again or the job is interrupted. Runs that crash their workers are
treated in the same way.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from durable.codec.failures import failure_of
from durable.engine.steps.graph_steps import EngineStep, GraphSteps, Suspect
from durable.engine.steps.graph_writes import OnCommitted
from durable.errors import DatabaseError
from durable.postgres.errors import StatementFault, retryable
from durable.postgres.retries import retry_until_connected
from durable.protocol.codes import FAILED
from durable.protocol.graphs import Fault
from durable.runtime.supervision import FAILURES_MAX
from durable.store.pacing import Pace
from durable.telemetry.logs import logger

LOSSES_MAX = 3  # engines that one message may stop while they apply it alone
DEADLY = (
    "{losses} engines died, or stood still, while they applied this message alone: look for what"
    " its data does to the process (memory, native crashes, exits, endless loops), then have it"
    " delivered again by resume(), or interrupt the job"
)

Record = Callable[[Mapping[str, int], float], None]


class Interpreter:
    """Moves the jobs of one app.

    Args:
        on_committed: called with the report of each committed step.
        pace: how fast messages may be claimed; the same that `steps` claims by.
        record: called after each step with its messages, counted by type, and its milliseconds.

    Attributes:
        applied: how many messages were applied.
        dead_lettered: how many were dead-lettered.
        applying: the task of the step that is under way, and the step.
    """

    def __init__(
        self,
        steps: GraphSteps,
        app_id: str,
        on_committed: OnCommitted,
        pace: Pace | None = None,
        record: Record | None = None,
    ) -> None:
        self._steps, self._app_id = steps, app_id
        self._on_committed = on_committed
        self._pace = pace or Pace("")
        self._record = record
        self._failures: Counter[int] = Counter()
        self.applied = self.dead_lettered = 0
        self.applying: tuple[asyncio.Task[None], EngineStep] | None = None

    async def drain(self) -> bool:
        """Apply all that is due; whether another engine held some of it: look again soon.

        Throttled, it is one step.
        """
        while True:
            step = await self._apply_next()
            if not step.claimed or self._pace.delay > 0:
                return False
            if not step.applied:
                return True

    async def _apply_next(self) -> EngineStep:
        """Apply what is due; or one message alone, if an engine had it and did not finish."""
        step = EngineStep()
        applied = False
        try:
            await self._apply(step, None)
            if step.suspect is None:
                return step
            applied, alone = await self._apply_alone(step.suspect)
            return alone
        finally:
            if step.suspect is not None and not applied:
                member = step.suspect.member
                await retry_until_connected(lambda: self._steps.release(member))

    async def _apply_alone(self, suspect: Suspect) -> tuple[bool, EngineStep]:
        """Apply a message that is reserved for that; whether it is gone then, and the step."""
        losses = suspect.losses - 1  # the first may have been another's of its batch, or none
        if losses >= LOSSES_MAX:
            fault = Fault(FAILED, DEADLY.format(losses=losses))
            self._report(suspect.id, fault, None)
            await self._steps.put_aside(suspect.id, fault)
            return True, EngineStep(claimed=[suspect.id])
        step = EngineStep()
        await self._apply(step, [suspect.id], suspect.member)
        return step.applied > 0, step

    async def _apply(
        self, step: EngineStep, only: Sequence[int] | None, member: int | None = None
    ) -> None:
        began = asyncio.get_running_loop().time()
        error = await self._outcome(step, self._steps.apply(self._app_id, step, only, member))
        if self._record is not None and step.kinds:
            self._record(step.kinds, (asyncio.get_running_loop().time() - began) * 1000)
        if error is None:
            self.applied += step.applied
            self._on_committed(step.written)
            return
        if not step.claimed or self._passes(error, step.claimed):
            raise error
        if len(step.claimed) > 1:
            middle = len(step.claimed) // 2
            waiting: DatabaseError | None = None
            for half in (step.claimed[:middle], step.claimed[middle:]):
                try:
                    await self._apply(EngineStep(), half)
                except DatabaseError as later:  # the other half need not wait for this one
                    waiting = later
            if waiting is not None:
                raise waiting
        elif only is None or len(only) > 1:
            await self._apply(EngineStep(), step.claimed)
        else:
            await self._dead_letter(step.claimed[0], error)

    async def _outcome(
        self, step: EngineStep, action: Coroutine[Any, Any, None]
    ) -> BaseException | None:
        """What a step raised, None when it went well; cancelled, it is over before we are."""
        task = asyncio.create_task(action)
        self.applying = (task, step)
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        finally:
            self.applying = None
        return task.exception()

    def _passes(self, error: BaseException, claimed: Sequence[int]) -> bool:
        """Whether an error is independent of the messages, so that they are claimed again later.

        A faulty statement or a missing table may be repaired: a message that meets one is
        dead-lettered only after it failed alone as often as a task of a host may fail.
        """
        if not isinstance(error, DatabaseError) or isinstance(error, StatementFault):
            return False
        if retryable(error, host=True):
            return True
        if len(claimed) > 1:
            return False
        self._failures[claimed[0]] += 1
        return self._failures[claimed[0]] < FAILURES_MAX

    async def _dead_letter(self, message_id: int, error: BaseException) -> None:
        described = Fault.of(failure_of(error), FAILED)
        self._report(message_id, described, error)
        self._on_committed(await self._steps.dead_letter(message_id, described))

    def _report(self, message_id: int, fault: Fault, error: BaseException | None) -> None:
        logger.error(
            "message %d of app %r cannot be applied and was put aside: %s",
            message_id,
            self._app_id,
            fault.message,
            exc_info=error,
        )
        self.dead_lettered += 1
        self._failures.pop(message_id, None)
