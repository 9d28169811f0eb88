"""The loop that runs callbacks: takes what is due, never more than there are free slots."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from durable.engine.effects import Reply
from durable.engine.job import decode, encode
from durable.engine.steps.graph_rows import error_text, reply_from, reply_text
from durable.errors import DatabaseError, PayloadError
from durable.hotmesh.settings import Message, WorkerSettings
from durable.postgres.pool import patiently
from durable.protocol.codes import FAILED
from durable.protocol.durations import seconds
from durable.protocol.graphs import Fault
from durable.streams.graph_messages import Taken, WorkStream
from durable.streams.pacing import Pace
from durable.telemetry.logs import logger

POLL = 1.0  # seconds: the net beneath notifications that never came
TROUBLE = 0.5  # seconds of rest when the database cannot be reached


class Member(Protocol):
    """Who reserves messages."""

    id: int

    def awake(self) -> None:
        """Something is held from now on."""
        ...


class WorkerLoop:
    """One topic served in this process.

    Args:
        member: under whose id messages are reserved; the id is 0 while this process is no member.
        answered: called when something is on its way to the engines.
        pace: the same that `stream` takes by.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        stream: WorkStream,
        member: Member,
        answered: Callable[[], None],
        pace: Pace,
    ) -> None:
        self.topic: str | None = settings.topic
        self.pace = pace
        self._settings = settings
        self._stream = stream
        self._member = member
        self._answered = answered
        self._wake = asyncio.Event()
        self._claiming = asyncio.Lock()
        self._running: dict[asyncio.Task[None], Taken] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def free(self) -> int:
        """How many more callbacks may run."""
        return self._settings.concurrency - len(self._running)

    @property
    def busy(self) -> bool:
        """Whether a callback runs."""
        return bool(self._running)

    def wake(self, _payload: str = "") -> None:
        """There is something to take."""
        self._wake.set()

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=f"hotmesh worker {self._settings.topic}")

    def abandon(self) -> None:
        """Stop what runs: this member was declared dead, and others go on with its messages."""
        for task in self._running:
            task.cancel()

    async def stop(self, grace: float) -> None:
        """Take nothing more, let callbacks finish for `grace` seconds, give the rest back."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._running:
            await asyncio.wait(list(self._running), timeout=grace)
        left = dict(self._running)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(list(left))
            with contextlib.suppress(DatabaseError):  # the sweeper frees what cannot be given back
                await self._stream.give_back(self._member.id, [taken.id for taken in left.values()])

    async def settled(self) -> None:
        """Return once what is being claimed now has begun to run."""
        async with self._claiming:
            return

    def profile(self) -> dict[str, Any]:
        """What only this process knows of the worker."""
        return {"running": len(self._running), "concurrency": self._settings.concurrency}

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            async with self._claiming:
                pause = await self._once()
            if self.pace.delay > 0:
                await self.pace.rest()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _once(self) -> float:
        try:
            while self.free > 0 and self._member.id:
                taken = await self._stream.take(self._member.id, self.free)
                for one in taken:
                    self._begin(one)
                if taken and self.pace.delay > 0:
                    return 0.0
                if not taken:
                    due = await self._stream.next_due()
                    return POLL if due is None else min(max(due, 0.005), POLL)
        except DatabaseError as error:
            logger.warning(
                "the worker of topic %r goes on when the database answers: %s",
                self._settings.topic,
                error,
            )
            return TROUBLE
        return POLL  # a callback that ends wakes us

    def _begin(self, taken: Taken) -> None:
        self._member.awake()
        task = asyncio.create_task(
            self._handle(self._member.id, taken), name=f"hotmesh {taken.topic} {taken.jid}"
        )
        self._running[task] = taken
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("the worker of topic %r: %s", self._settings.topic, error, exc_info=error)

    async def _handle(self, member: int, taken: Taken) -> None:
        """Run the callback and record what came of it; nothing is acknowledged before."""
        call = asyncio.ensure_future(self._settings.callback(message_of(taken)))
        try:
            await asyncio.wait({call})
        except asyncio.CancelledError:
            call.cancel()
            await asyncio.wait({call})
            raise
        error = (
            asyncio.CancelledError("the callback was cancelled")
            if call.cancelled()
            else call.exception()
        )
        if error is not None:
            await self._failed(member, taken, error, final=_is_final(error, taken))
            return
        try:
            reply = _reply(call.result(), self._settings.topic)
            text = reply_text(reply)
        except (TypeError, PayloadError) as unusable:
            unusable.add_note(
                f"It is what the callback of topic {self._settings.topic!r} returned."
            )
            await self._failed(member, taken, unusable, final=True)
            return
        if reply.error is not None and reply.code in taken.attempts and not taken.spent(reply.code):
            await self._again(member, taken, reply.error, taken.retry.delay(taken.attempt))
            return
        try:
            held = await patiently(lambda: self._stream.answer(member, taken, text))
        except DatabaseError as refused:  # for good: too large, too deep, …
            await self._failed(member, taken, refused, final=True)
            return
        self._after(taken, held=held)

    async def _failed(
        self, member: int, taken: Taken, error: BaseException, *, final: bool
    ) -> None:
        described = described_error(error, taken.jid)
        text = error_text(described) or "{}"
        if not final and not taken.spent(described.code):
            await self._again(member, taken, described, _delay(error, taken))
            return
        reply = Reply("response", {}, "error", described.code, described)
        held = await patiently(lambda: self._stream.give_up(member, taken, reply_text(reply), text))
        self._after(taken, held=held)

    async def _again(self, member: int, taken: Taken, error: Fault, delay: float) -> None:
        logger.info(
            "topic %r, job %r: %s; next attempt in %g s",
            taken.topic,
            taken.jid,
            error.message,
            delay,
        )
        text = error_text(error) or "{}"
        held = await patiently(lambda: self._stream.try_again(member, taken, text, delay))
        self._after(taken, held=held)

    def _after(self, taken: Taken, *, held: bool) -> None:
        if held:
            self._answered()
        else:
            logger.info(
                "topic %r, job %r: the answer came too late and was dropped", taken.topic, taken.jid
            )


def message_of(taken: Taken) -> Message:
    """What a callback gets: `{"metadata": …, "data": …}`, with HotMesh's keys."""
    metadata = {
        "guid": str(taken.id),
        "jid": taken.jid,
        "gid": str(taken.run_id),
        "dad": taken.dad,
        "aid": taken.aid,
        "topic": taken.topic,
        "wfn": taken.graph,
        "try": taken.attempt - 1,
    }
    return {"metadata": metadata, "data": decode(taken.message)}


def _reply(answer: Any, topic: str) -> Reply:
    return reply_from(
        "response", {} if answer is None else answer, f"the answer of the worker of topic {topic!r}"
    )


def described_error(error: BaseException, jid: str) -> Fault:
    """An exception as messages carry it; a whole number in its `code` is the job's code."""
    code = getattr(error, "code", None)
    known = code if isinstance(code, int) and not isinstance(code, bool) else FAILED
    stack = "".join(traceback.format_exception(error))
    message = "; ".join([str(error) or type(error).__name__, *getattr(error, "__notes__", ())])
    return Fault(known, message, jid, stack, _details(error))


def _details(error: BaseException) -> Any:
    """What an exception says beside its message; as text where JSON could not hold it."""
    details = getattr(error, "details", None)
    try:
        encode(details, "the details of an error")
    except PayloadError:
        return repr(details)
    return details


def _is_final(error: BaseException, taken: Taken) -> bool:
    named = {kind.__name__ for kind in type(error).__mro__} | {getattr(error, "type", "")}
    return bool(getattr(error, "non_retryable", False)) or not named.isdisjoint(
        taken.retry.non_retryable_names
    )


def _delay(error: BaseException, taken: Taken) -> float:
    wanted = getattr(error, "next_retry_delay", None)
    return taken.retry.delay(taken.attempt) if wanted is None else seconds(wanted)
