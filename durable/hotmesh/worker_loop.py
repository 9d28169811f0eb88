"""The loop that runs callbacks: takes what is due, never more than there are free slots."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from durable.errors import DatabaseError, PayloadError
from durable.hotmesh.callback_outcomes import CallbackOutcomes, end_of, run_callback
from durable.hotmesh.paced_loop import PacedLoop
from durable.hotmesh.profiles import ERRORS, code_of, described_policy, signature_of
from durable.hotmesh.settings import WorkerSettings
from durable.protocol.graphs import Output
from durable.runtime.reconciler import Reconciler
from durable.runtime.supervision import Broken, Tasks
from durable.runtime.user_code import Ended, ended
from durable.store.graph_messages import Taken, WorkStream
from durable.store.lease import Lease
from durable.store.pacing import Pace
from durable.store.work_slots import WorkSlot
from durable.telemetry.logs import logger

POLL = 1.0  # seconds: the net beneath notifications that never came
UNWIND = 4.0  # seconds that callbacks have to end in after a stop has cancelled them


Work = asyncio.Task[Ended] | asyncio.Task[None]
"""What occupies a slot: a callback, and then the recording of what it came to."""


class Member(Protocol):
    """As which this process reserves messages; the id is 0 while it is no member."""

    id: int
    lease: Lease

    def awake(self) -> None:
        """Something is held from now on."""
        ...


class LocalAnswers(Protocol):
    """The local path of answers, where this process is an engine too."""

    def answer(self, member: int, taken: Taken, text: str) -> asyncio.Future[bool] | None:
        """Have an attempt end and its job step on; None or False: it has to be sent."""
        ...

    async def settled(self) -> None:
        """Return once what is being committed now is through."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerHost:
    """What a worker loop needs of its process.

    Attributes:
        member: under whose id messages are reserved.
        on_answered: called when something is on its way to the engines.
        on_broken: called when the loop cannot go on.
        local: the local path of answers; None where this process is no engine.
    """

    member: Member
    on_answered: Callable[[], None]
    on_broken: Broken
    local: LocalAnswers | None = None


class WorkerLoop:
    """One topic served in this process.

    Work comes by a claim from its stream, or takes a free slot (a *slot*) with the very commit that
    brings it, as long as no other work waits.

    Args:
        settings: the topic, its callback and its limits.
        stream: where its work waits.
        pace: the same that `stream` takes by.
        host: what it needs of its process.
    """

    def __init__(
        self, settings: WorkerSettings, stream: WorkStream, pace: Pace, host: WorkerHost
    ) -> None:
        self.topic: str | None = settings.topic
        self.pace = pace
        self._settings = settings
        self._stream = stream
        self._member = host.member
        self._outcomes = CallbackOutcomes(settings.topic, stream, host.on_answered)
        self._local = host.local
        self._running: dict[Work, Taken] = {}
        self._dropped: set[Work] = set()
        name = f"the worker of topic {settings.topic!r}"
        self._tasks = Tasks(name, host.on_broken)
        self._loop = PacedLoop(name, self._tasks, pace, self._once)
        self._reconciler = Reconciler()
        self._flights: deque[int] = deque()  # slots that are taken and not answered yet
        self._kept = 0  # slots kept for what is being claimed or committed
        self._backlog = True  # whether work waits in the stream, as far as we know
        self._owed = False  # whether we have to look as soon as a slot is free
        self._stopping = False
        self._idle = asyncio.Event()
        self._late: list[int] = []  # work that came when we had begun to stop
        self._given_back: set[int] = set()
        self._counts: Counter[int] = Counter()

    @property
    def free(self) -> int:
        """How many more callbacks may run."""
        return self._settings.concurrency - len(self._running) - self._kept

    @property
    def busy(self) -> bool:
        """Whether a callback runs."""
        return bool(self._running)

    def of_task(self, task: asyncio.Task[Any] | None) -> Taken | None:
        """The attempt whose callback a task runs, if it does; on any thread."""
        return None if task is None else self._running.get(task)

    def wake(self, _payload: str = "") -> None:
        """There is something to take."""
        self._backlog = True
        self._loop.woken.set()

    def slot(self) -> WorkSlot | None:
        """Keep a slot for work that is being committed; None when it has to wait its turn."""
        closed = self._stopping or not self._loop.started or not self._member.id
        if closed or self._backlog or self.free <= 0 or self.pace.delay > 0:
            return None
        self._kept += 1
        self._flights.append(self._reconciler.begin())
        return WorkSlot(self._member.id, self.pace.consumer, self._settings.retry)

    def slot_taken(self, slot: WorkSlot, taken: Taken | None) -> None:
        """What became of a slot: work that begins now, or nothing."""
        self._kept -= 1
        if self._flights:  # which one does not matter: the youngest is counted out last
            self._reconciler.end(self._flights.popleft())
        if taken is None or taken.id in self._given_back:
            self._check_idle()
        elif self._stopping:
            self._late.append(taken.id)
            self._check_idle()
        elif slot.member == self._member.id:  # else it was freed when we were declared dead
            self._begin(slot.member, taken)

    def start(self) -> None:
        """Begin."""
        self._loop.start()

    def abandon(self) -> None:
        """Stop what runs: this member was declared dead, and others go on with its messages."""
        self._dropped.update(self._running)
        for task in list(self._running):
            task.cancel()

    async def stop(self, grace: float) -> None:
        """Take nothing more, let callbacks finish for `grace` seconds, give the rest back."""
        self._stopping = True
        await self._loop.stop()
        self._check_idle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._idle.wait()
        left = dict(self._running)
        self._dropped.update(left)
        for task in left:
            task.cancel()
        # Code that swallows its cancellation is left behind, and its work counts as lost.
        deaf = (await asyncio.wait(list(left), timeout=UNWIND))[1] if left else set()
        for task in deaf:
            logger.warning(
                "topic %r, job %r: the callback goes on after it was cancelled: let CancelledError"
                " out of its except clauses", left[task].topic, left[task].jid,
            )  # fmt: skip
        free = [taken.id for task, taken in left.items() if task not in deaf]
        if back := [*free, *self._late]:
            with contextlib.suppress(DatabaseError):  # the sweeper frees what cannot be given back
                await self._stream.give_back(self._member.id, back)

    async def settled(self) -> None:
        """Return once what is being claimed now has begun to run."""
        await self._loop.settled()
        if self._local is not None:
            await self._local.settled()

    def profile(self) -> Output:
        """What only this process knows of the worker."""
        errors = sum(n for code, n in self._counts.items() if code >= ERRORS)
        return {
            "running": len(self._running),
            "concurrency": self._settings.concurrency,
            "counts": {str(code): n for code, n in sorted(self._counts.items())},
            "error_count": errors,
            "retry": described_policy(self._settings.retry),
            "signature": signature_of(self._settings.callback),
        }

    async def _once(self) -> float:
        while (free := self.free) > 0 and (member := self._member.id):
            # Where nothing is known to wait, half of the slots stay open for slots.
            asked = free if self._backlog else (free + 1) // 2
            taken = await self._claim(member, asked)
            if taken and self.pace.delay > 0:
                return 0.0
            if taken < asked:
                # What has come meanwhile is claimed next; what comes from now on may sit down,
                # else each claim would find what the one before has kept from its slot.
                self._backlog = False
                if self._loop.woken.is_set():
                    return 0.0
                due, held = await self._stream.look(member)
                await self._free_forgotten(member, held)
                return POLL if due is None else min(max(due, 0.005), POLL)
        self._owed = True
        return POLL  # a callback that ends wakes us

    async def _claim(self, member: int, asked: int) -> int:
        """Take up to so much work, and begin it; how much it was."""
        self._kept += asked
        taken: Sequence[Taken] = ()
        with self._reconciler.reserving():
            try:
                taken = await self._stream.take(member, asked)
            finally:
                self._kept -= asked
            for one in taken:
                self._begin(member, one)
        self._reconciler.turned_up(one.id for one in taken)
        return len(taken)

    async def _free_forgotten(self, member: int, held: Sequence[int]) -> None:
        """Give back what we hold and know nothing of: the connection broke before its answer."""
        mine = {t.id for t in self._running.values()}
        found = self._reconciler.look(
            {row: row for row in held}, lambda row, _: row in mine, expected=()
        )
        if found.forgotten:
            self._given_back.update(found.forgotten)  # should the answer come yet, it is too late
            await self._stream.give_back(member, found.forgotten)
            self.wake()

    # --- one attempt -----------------------------------------------------------------------------

    def _begin(self, member: int, taken: Taken) -> None:
        self._member.awake()
        call = asyncio.create_task(
            ended(run_callback(self._member.lease, self._settings.callback, taken)),
            name="hotmesh callback",
        )
        self._running[call] = taken
        call.add_done_callback(partial(self._returned, member, taken))

    def _returned(self, member: int, taken: Taken, call: asyncio.Task[Ended]) -> None:
        """A callback is over: what came of it is recorded; nothing is acknowledged before."""
        if call in self._dropped or _is_interrupted(call):
            self._over(call)
            return
        self._counts[code_of(end_of(call))] += 1
        answer: asyncio.Future[bool] | None = None
        try:
            answer = self._fast_answer(member, taken, call)
        finally:
            if answer is None:
                self._record(member, taken, call)
        if answer is not None:
            answer.add_done_callback(partial(self._answered_fast, member, taken, call))

    def _fast_answer(
        self, member: int, taken: Taken, call: asyncio.Task[Ended]
    ) -> asyncio.Future[bool] | None:
        text = None if self._local is None else self._outcomes.success(end_of(call))
        if self._local is None or text is None:
            return None
        try:
            return self._local.answer(member, taken, text)
        except (TypeError, PayloadError):
            return None  # the engine finds the same where it steps the job, and puts it aside

    def _answered_fast(
        self, member: int, taken: Taken, call: asyncio.Task[Ended], answer: asyncio.Future[bool]
    ) -> None:
        failed = answer.cancelled() or answer.exception() is not None
        passed = not failed and answer.result()
        if passed or call in self._dropped:
            self._over(call)
        else:
            self._record(member, taken, call)

    def _record(self, member: int, taken: Taken, call: asyncio.Task[Ended]) -> None:
        # It is sent until it has arrived, or cannot: meanwhile the row is known, and stays ours.
        task = self._tasks.once(
            f"answer of {taken.topic} {taken.jid}",
            lambda: self._outcomes.record(member, taken, end_of(call)),
            otherwise=_logged,
        )
        del self._running[call]
        self._running[task] = taken
        task.add_done_callback(self._recorded)

    def _recorded(self, task: asyncio.Task[None]) -> None:
        self._over(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("the worker of topic %r: %s", self._settings.topic, error, exc_info=error)

    def _over(self, task: Work) -> None:
        """A slot is free again."""
        self._running.pop(task, None)
        self._dropped.discard(task)
        if self._backlog or self._owed:
            self._owed = False
            self._loop.woken.set()
        self._check_idle()

    def _check_idle(self) -> None:
        if self._stopping and not self._running and not self._kept:
            self._idle.set()


def _logged(_name: str, _error: BaseException) -> None:
    """It was logged; the reconciler finds the row that is left reserved."""


def _is_interrupted(call: asyncio.Task[Ended]) -> bool:
    """Whether it was Ctrl-C: that ends the process, and is no failure of the work."""
    return not call.cancelled() and call.exception() is not None
