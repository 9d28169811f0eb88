"""Activities as workers of graphs: the topics of an app's graphs that a function serves.

A `worker` activity of a graph whose topic is an activity's name is work for that function: the data
of the message are its arguments by name, and its result is the answer. An attempt runs as any other
of this worker, in the same slots; what follows from it goes to the engines of the app.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from durable.codec.fields_set import plain_object
from durable.postgres.errors import StatementFault
from durable.postgres.retries import retry_until_connected
from durable.protocol.codes import OK
from durable.protocol.failures import Failure, given_details
from durable.protocol.graphs import Fault, failed_code
from durable.protocol.ids import new_id
from durable.runtime.reconciler import Reconciler
from durable.runtime.supervision import Broken, Tasks
from durable.store.activities import Attempt
from durable.store.graph_messages import Taken, work_stream
from durable.store.pacing import Pace
from durable.telemetry.logs import logger
from durable.worker import reports
from durable.worker.attempt_code import Outcome
from durable.worker.attempts import Attempts
from durable.worker.worker_context import RowActions, WorkerContext

CLAIM_MAX = 500  # one claim's worth
POLL = 1.0  # seconds: the net beneath notifications, where the app has graphs
GRAPHS_EVERY = 10.0  # seconds between two looks whether it has any
SOON = 60.0  # seconds within which a retry is taken at its moment
ANSWERS = 2.0  # seconds that a stop waits for answers on their way


class GraphTopics:
    """Serves the topics of one app with the activities of one worker.

    Args:
        context: the member, whose task queue is the app's id.
        attempts: where the activities run; not those of functions, but with their slots.
        awake: called when something is held from now on.
        broken: called when one of its own tasks cannot go on.
    """

    def __init__(
        self, context: WorkerContext, attempts: Attempts, *, awake: Callable[[], None],
        broken: Broken,
    ) -> None:  # fmt: skip
        self._context = context
        self._announcer = context.services.announcer
        self._attempts = attempts
        self._awake = awake
        self._pace = Pace(new_id())
        policies = [(name, d.options.retry) for name, d in attempts.definitions.items()]
        self._stream = context.services.topics(context.queue, policies, self._pace)
        self._wake = asyncio.Event()
        self._topics: set[str] = set()  # those whose notifications are listened to
        self._tasks = Tasks(f"graphs of app {context.queue!r}", broken)
        self._answers = RowActions(self._tasks)
        attempts.slots.on_freed(self._wake.set)

    @property
    def busy(self) -> bool:
        """Whether it holds anything."""
        return bool(self._attempts.count or self._answers.rows)

    def rows(self) -> set[int]:
        """The rows that it holds, and those whose answers are on their way."""
        return {a.id for a in self._attempts.running() if a.id is not None} | self._answers.rows

    def last(self) -> set[int | None]:
        """Of what runs, the rows that may not be run again."""
        return {a.id for a in self._attempts.running() if a.last} | self._attempts.unknown

    def wake(self, _payload: str = "") -> None:
        """There may be something to take."""
        self._wake.set()

    def abandon(self) -> None:
        """Stop what runs: this member was declared dead, and others go on with its messages."""
        self._attempts.stop_all()

    async def serve(self, flights: Reconciler) -> None:
        """Take work and run it, once there are graphs; to be kept running until a stop."""
        while not await self._stream.has_graphs():  # noqa: ASYNC110 - the database knows
            await asyncio.sleep(GRAPHS_EVERY)
        for topic in self._attempts.definitions.keys() - self._topics:
            await self._announcer.listen_queue(work_stream(self._context.queue, topic), self.wake)
            self._topics.add(topic)
        while True:
            self._wake.clear()
            await self._take(flights)
            if self._pace.delay > 0:
                await self._pace.rest()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._wake.wait()

    async def stop(self, grace: float) -> None:
        """Let what runs finish for `grace` seconds, and answers arrive; the rest is for others."""
        await self._attempts.drain(grace)
        await self._tasks.wait(ANSWERS)
        for topic in self._topics:
            await self._announcer.unlisten_queue(work_stream(self._context.queue, topic), self.wake)

    # --- attempts ----------------------------------------------------------------------------

    async def _take(self, flights: Reconciler) -> None:
        full = True
        while full and (member := self._context.member):
            limit = min(CLAIM_MAX, self._attempts.free())
            if limit <= 0:
                return  # an attempt that ends wakes us
            with flights.reserving():
                taken = await self._stream.take(member, limit)
                if member != self._context.member:
                    return  # declared dead since: others have them
                for one in taken:
                    self._begin(member, one)
            flights.turned_up(one.id for one in taken)
            full = len(taken) == limit and self._pace.delay <= 0

    def _begin(self, member: int, taken: Taken) -> None:
        self._awake()
        declared = self._attempts.definitions[taken.topic].options
        options = replace(
            declared, retry=taken.retry, schedule_to_close=None, schedule_to_start=None
        )
        attempt = Attempt(
            taken.id, taken.run_id, taken.jid, taken.graph, taken.id, taken.topic, taken.message,
            options, taken.attempt, self._context.clock.now(),
        )  # fmt: skip
        self._attempts.start(attempt, partial(self._ended, member, taken))

    def _ended(self, member: int, taken: Taken, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt has ended: its result is recorded before anything is acknowledged."""
        if not outcome.abandoned:
            self._answers.begin(
                taken.id, f"answer of {taken.topic} {taken.jid}",
                lambda: self._answer(member, taken, attempt, outcome),
            )  # fmt: skip

    async def _answer(self, member: int, taken: Taken, attempt: Attempt, outcome: Outcome) -> None:
        if outcome.interrupted:
            await self._stream.work.give_back(member, [taken.id])
            return
        failure = outcome.failure
        if failure is None:
            text = _reply(data=plain_object(outcome.data))
            try:
                await retry_until_connected(lambda: self._stream.work.answer(member, taken, text))
            except StatementFault as refused:
                failure = _unwritable(refused)
        if failure is not None:
            await self._failed(member, taken, attempt, failure)
        self._announcer.engine(self._context.queue)

    async def _failed(self, member: int, taken: Taken, attempt: Attempt, failure: Failure) -> None:
        fault = Fault.of(failure, failed_code(failure), taken.jid, details=given_details(failure))
        error = json.dumps(fault.to_dict())
        final = failure.kind == "payload"  # the next attempt's would not fit either
        delay = None if final else taken.delay_after(fault.code, failure)
        reports.attempt_failed(attempt, failure, delay, self._context.clock.now())
        work = self._stream.work
        if delay is None:
            reply = _reply(error=fault)
            held = await retry_until_connected(lambda: work.give_up(member, taken, reply, error))
        else:
            held = await retry_until_connected(lambda: work.try_again(member, taken, error, delay))
            if delay <= SOON:  # what comes later is found by the poll
                asyncio.get_running_loop().call_later(delay, self.wake)
        if not held:
            logger.info(
                "topic %r, job %r: the answer came too late and was dropped", taken.topic, taken.jid
            )


def _reply(data: dict[str, object] | None = None, error: Fault | None = None) -> str:
    """An answer as a message to the engines."""
    if error is None:
        return json.dumps({"status": "success", "code": OK, "data": data}, ensure_ascii=False)
    return json.dumps({"status": "error", "code": error.code, "data": {}, "error": error.to_dict()})


def _unwritable(refused: StatementFault) -> Failure:
    return Failure(
        "PayloadError", f"what the activity returned cannot be stored: {refused}", "payload"
    )
