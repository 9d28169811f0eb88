"""What the members of an app say to each other: messages, and calls that are answered.

A message is a row; a notification says which. So nothing is too long, and what a broken connection
missed is read afterwards. An answer is a row too, and the caller is told of it. Any role may send
notifications, but only one that may write to the tables can say anything: an id that is told of is
looked up, and one that names no message of the last minute is ignored.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from durable.errors import DatabaseError
from durable.hotmesh.quorum.roster import SQL, AnswerRow, Consumer, FunctionWorker, Roster
from durable.postgres.database import Database
from durable.postgres.listener import Listener
from durable.protocol.graphs import Data
from durable.runtime import channels
from durable.runtime.channels import Channel
from durable.runtime.notifications import RowNews, row_ids
from durable.runtime.notifier import Notifier
from durable.telemetry.logs import logger

LOOK = 0.05  # seconds between looks at who still lives, while answers are awaited
SEEN_MAX = 10_000
TOLD_MAX = 1_000  # messages that are read at once; who calls says so again

Message = Data
Heard = Callable[[Message], Awaitable[Mapping[str, Message]]]
"""Gets each message; gives the answers of the consumers of this process, by guid."""
SilentWorkers = Callable[[Mapping[str, Message]], Awaitable[Sequence[FunctionWorker]]]
"""Gets the answers so far; gives the workers of functions that are to answer and have not."""


async def _no_workers(_answers: Mapping[str, Message]) -> Sequence[FunctionWorker]:
    return ()


@dataclass(frozen=True, slots=True)
class Called:
    """What became of a call: the answers by guid, who did not answer, and all who are there."""

    answers: Mapping[str, Message] = field(default_factory=dict)
    silent: Sequence[Consumer | FunctionWorker] = ()
    present: Sequence[Consumer] = ()


class Bus:
    """The bus of one app, for one process, which `guid` names.

    Args:
        heard: called with each message, this process's own included.
    """

    def __init__(self, database: Database, app_id: str, guid: str, heard: Heard) -> None:
        self._db = database
        self._app_id = app_id
        self._guid = guid
        self._heard = heard
        self._roster = Roster(database, app_id)
        self._sql = SQL.load(database.schema)
        self._everybody = channels.quorum(database.schema, app_id)
        self._mine = self._own(guid)
        self._notifier: Notifier | None = None
        self._calls: dict[int, asyncio.Event] = {}
        self._seen: dict[int, None] = {}
        self._told: set[int] = set()
        self._lately = False
        self._reader: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def _own(self, guid: str) -> Channel:
        return channels.quorum_member(self._db.schema, self._app_id, guid)

    async def open(self, listener: Listener, notifier: Notifier) -> None:
        """Begin to listen."""
        self._notifier = notifier
        await listener.listen(self._mine, self._on_answer)
        await listener.listen(self._everybody, self._on_message)

    async def close(self) -> None:
        """Stop what is being handled."""
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def post(self, message: Message) -> int:
        """Say something to everybody; the message's id. It must be JSON."""
        text = json.dumps({"originator": self._guid, **message}, ensure_ascii=False)
        posted = int(
            await self._db.fetchval(
                *self._sql.bind("post", app_id=self._app_id, sender=self._guid, message=text)
            )
        )
        self._announce(self._everybody, posted)
        return posted

    async def call(
        self, message: Message, concerned: Callable[[Consumer], bool], windows: Iterable[float],
        silent_workers: SilentWorkers = _no_workers,
    ) -> Called:  # fmt: skip
        """Say something and wait for the answers of those concerned that are alive.

        Args:
            message: what to say.
            concerned: who is to answer.
            windows: seconds to wait before the call is repeated; after the last it is over.
            silent_workers: says which workers of functions are still to answer; none, if left out.
        """
        call = await self.post(message)
        told = self._calls[call] = asyncio.Event()
        called = Called()
        try:
            for window in windows:
                self._announce(self._everybody, call)
                called = await self._wait(call, told, concerned, silent_workers, window)
                if not called.silent:
                    break
        finally:
            del self._calls[call]
        return called

    async def _wait(
        self, call: int, told: asyncio.Event, concerned: Callable[[Consumer], bool],
        silent_workers: SilentWorkers, window: float,
    ) -> Called:  # fmt: skip
        clock = asyncio.get_running_loop().time
        end = clock() + window
        while True:
            told.clear()
            present = await self._roster.present()
            rows = await self._db.fetch(*self._sql.bind("answers", message_id=call))
            answers = {row["sender"]: json.loads(row["message"]) for row in rows}
            waited = [c for c in present if concerned(c) and c.guid not in answers]
            silent: list[Consumer | FunctionWorker] = [*waited, *await silent_workers(answers)]
            left = end - clock()
            if not silent or left <= 0:
                return Called(answers, silent, present)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK)):
                    await told.wait()

    def _announce(self, channel: Channel, message_id: int) -> None:
        if self._notifier is not None:
            self._notifier.notify(channel, RowNews(message_id))

    def _on_answer(self, payload: str) -> None:
        answered = row_ids(payload)
        for call, told in self._calls.items():
            if not payload or call in answered:
                told.set()

    def _on_message(self, payload: str) -> None:
        new = [message for message in row_ids(payload) if message not in self._seen]
        if payload and not new:
            return
        if not payload:
            self._lately = True  # notifications may have been lost
        if len(self._told) < TOLD_MAX:
            self._told.update(new)
        if self._reader is None or self._reader.done():
            self._reader = self._spawn(self._read())

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name="hotmesh quorum")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a message of the quorum of %r failed", self._app_id, exc_info=error)

    async def _read(self) -> None:
        """Read what was told of, all that is in one statement; each is handled by itself."""
        while self._told or self._lately:
            ids, self._told = self._told, set()
            lately, self._lately = self._lately, False
            try:
                if lately:
                    rows = await self._db.fetch(*self._sql.bind("lately", app_id=self._app_id))
                    ids.update(row["id"] for row in rows)
                ids -= self._seen.keys()
                rows = await self._db.fetch(
                    *self._sql.bind("read", app_id=self._app_id, ids=sorted(ids))
                )
            except DatabaseError as error:  # a repeated call finds us willing
                logger.warning("a message of the quorum of %r waits: %s", self._app_id, error)
                return
            self._see(ids)
            for row in rows:
                self._spawn(self._answer(row["id"], json.loads(row["message"])))

    async def _answer(self, message_id: int, message: Message) -> None:
        try:
            await self._handle(message_id, message)
        except DatabaseError as error:
            self._seen.pop(message_id, None)  # a repeated call finds us willing
            logger.warning("a message of the quorum of %r waits: %s", self._app_id, error)

    def _see(self, ids: Iterable[int]) -> None:
        self._seen.update(dict.fromkeys(ids))
        while len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]

    async def _handle(self, message_id: int, message: Message) -> None:
        answers = await self._heard(message)
        if answers:
            rows = [
                AnswerRow(sender, json.dumps(answer, ensure_ascii=False))
                for sender, answer in answers.items()
            ]
            await self._db.fetch(
                *self._sql.bind("answer", app_id=self._app_id, message_id=message_id, answers=rows)
            )
            self._announce(self._own(message["originator"]), message_id)
