"""What comes of a callback: its answer, another attempt, or a failure for good; recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from durable.engine.effects import Reply
from durable.engine.job import decode
from durable.engine.steps.graph_rows import error_text, given_text, reply_from, reply_text
from durable.errors import PayloadError
from durable.hotmesh.settings import Callback, Message
from durable.postgres.errors import StatementFault
from durable.postgres.retries import retry_until_connected
from durable.protocol.graphs import Fault, Output
from durable.protocol.messages import MessageKind
from durable.runtime.user_code import Ended, code_failure, code_fault
from durable.store.graph_messages import Taken, WorkStream
from durable.store.lease import Lease
from durable.telemetry.logs import logger
from durable.telemetry.spans import working


class CallbackOutcomes:
    """Records what the callbacks of one topic come to.

    Args:
        topic: the topic.
        stream: where its work and its answers are.
        on_answered: called when something is on its way to the engines.
    """

    def __init__(self, topic: str, stream: WorkStream, on_answered: Callable[[], None]) -> None:
        self._topic = topic
        self._stream = stream
        self._on_answered = on_answered

    def success(self, end: Ended) -> str | None:
        """The answer of a callback that went well, as a message; None for all else."""
        if end.error is not None:
            return None
        try:
            reply = _reply(end.value, self._topic)
            return None if reply.error is not None else given_text(reply)
        except (TypeError, PayloadError):
            return None  # `record` describes it

    async def record(self, member: int, taken: Taken, end: Ended) -> None:
        """Send what a callback came to: its answer, its failure, or its next attempt."""
        if end.error is not None:
            await self._failed(member, taken, end.error, final=False)
            return
        try:
            reply = _reply(end.value, self._topic)
            text = given_text(reply)
        except (TypeError, PayloadError) as unusable:
            unusable.add_note(f"it is what the callback of topic {self._topic!r} returned.")
            await self._failed(member, taken, unusable, final=True)
            return
        if reply.error is not None and reply.code in taken.attempts:
            delay = taken.delay_after(reply.code)
            if delay is not None:
                await self._again(member, taken, reply.error, delay)
                return
        try:
            held = await retry_until_connected(lambda: self._stream.answer(member, taken, text))
        except StatementFault as refused:  # for good: too large, too deep, …
            await self._failed(member, taken, refused, final=True)
            return
        self._after(taken, held=held)

    async def _failed(
        self, member: int, taken: Taken, error: BaseException, *, final: bool
    ) -> None:
        failure = code_failure(error)
        described = code_fault(error, failure, taken.jid)
        text = error_text(described) or "{}"
        delay = None if final else taken.delay_after(described.code, failure)
        if delay is not None:
            await self._again(member, taken, described, delay)
            return
        logger.warning(
            "topic %r, job %r: attempt %d failed: %s; there is no other",
            taken.topic,
            taken.jid,
            taken.attempt,
            described.message,
            extra=_extras(taken),
        )
        reply = Reply(MessageKind.RESPONSE, {}, "error", described.code, described)
        held = await retry_until_connected(
            lambda: self._stream.give_up(member, taken, reply_text(reply), text)
        )
        self._after(taken, held=held)

    async def _again(self, member: int, taken: Taken, error: Fault, delay: float) -> None:
        logger.warning(
            "topic %r, job %r: attempt %d failed: %s; next try in %g s",
            taken.topic,
            taken.jid,
            taken.attempt,
            error.message,
            delay,
            extra=_extras(taken),
        )
        text = error_text(error) or "{}"
        held = await retry_until_connected(
            lambda: self._stream.try_again(member, taken, text, delay)
        )
        self._after(taken, held=held)

    def _after(self, taken: Taken, *, held: bool) -> None:
        if held:
            self._on_answered()
        else:
            logger.info(
                "topic %r, job %r: the answer came too late and was dropped", taken.topic, taken.jid
            )


async def run_callback(lease: Lease, callback: Callback, taken: Taken) -> Message | None:
    """Run a callback for an attempt, as soon as this process is known to be the member still."""
    await lease.confirmed()
    message = message_of(taken)
    name = f"EXECUTE/{taken.graph}/{taken.aid}/{taken.topic}"
    with working(name, message["metadata"]):
        return await callback(message)


def end_of(call: asyncio.Task[Ended]) -> Ended:
    """How a callback ended; None of it was run where its task was cancelled before."""
    if call.cancelled():
        return Ended(error=asyncio.CancelledError("the callback was cancelled"))
    return call.result()


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
        **taken.trace,
    }
    return {"metadata": metadata, "data": decode(taken.message)}


def _reply(answer: object, topic: str) -> Reply:
    return reply_from(
        MessageKind.RESPONSE,
        {} if answer is None else answer,
        f"the answer of the worker of topic {topic!r}",
    )


def _extras(taken: Taken) -> Output:
    return {
        "workflow": taken.graph, "workflow_id": taken.jid, "run_id": taken.run_id,
        "activity": taken.aid, "step": taken.dad, "attempt": taken.attempt,
    }  # fmt: skip
