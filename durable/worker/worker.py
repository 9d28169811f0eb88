"""The worker: claims what its queue holds, and runs it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Self

from durable.errors import ConfigurationError, InternalError
from durable.postgres.retrying import retry_until_connected
from durable.protocol.durations import Duration, seconds
from durable.protocol.failures import Failure
from durable.protocol.limits import BIGINT_MAX, check_count, check_name
from durable.replay.definitions import ActivityDefinition, WorkflowDefinition, check
from durable.runtime.notifications import MemberKind, QueueKind, member_news, queue_news
from durable.runtime.supervision import Tasks
from durable.store.activities import Attempt
from durable.store.membership import Membership
from durable.telemetry.logs import logger
from durable.worker.attempts import Attempts
from durable.worker.blocked_loop import Watchdog
from durable.worker.claims import Rank, WakeEvent, claim_delay
from durable.worker.command_plans import CommandPlans
from durable.worker.detached_attempts import DetachedAttempts
from durable.worker.graph_topics import GraphTopics
from durable.worker.reconciler import WorkerReconciler
from durable.worker.registry import Defined, HasServices, by_name
from durable.worker.revocations import Revocations
from durable.worker.unserved_work import UnservedWork
from durable.worker.worker_services import ClosingCommitter
from durable.worker.workflow_worker import WorkflowWorker

POLL = 1.0  # the net beneath the notifications while runs are held, in seconds
REST = 5.0  # the same for who holds nothing: the sweeper watches the queues, too
COMMITS = 2.0  # seconds that commits in flight have when a membership ends
EXTRA = 4.0  # seconds a stop may take after its grace; of five, one is to close the client
GATHER = 0.003  # seconds between two claims of runs, unless the first one left some
GIVING_UP = 10.0  # seconds that a worker whose loop is held takes to free what it holds
POLL_MIN = 0.01  # looks follow each other no faster, and what is delayed is late by no more
UNSERVED_EVERY = 10  # seconds between two looks for what nobody here can run
CLAIM_MAX = 500  # one claim's worth of runs: more only delays the first
CLAIM_AHEAD = 50  # runs that may have to go for others: so many, and two for each that came last


class Worker:
    """Takes turns of workflows and runs activities for one task queue, until it is stopped.

    Args:
        client: of `durable.connect`; the worker uses its database and namespace.
        workflows: functions decorated with `@workflow`.
        activities: functions decorated with `@activity`.
        task_queue: the queue to serve.
        max_activities: how many async activities may run at once.
        max_threads: how many plain (non-async) activities may run at once; 2 × cores unless given.
        max_runs: how many runs are held in memory; the least recently used are given back.
        max_bytes: how heavy they may be together.
        grace: how long a stop waits for running activities (seconds, `timedelta` or text).
        yield_timeout: how long code may hold the event loop; then all is given to other workers,
            and a run is suspended the tenth time.

    Example:
        >>> async with Worker(client, workflows=[fulfil], activities=[charge]):  # doctest: +SKIP
        ...     await handle.result()
    """

    def __init__(  # noqa: PLR0913 - the options that users know, each by its name
        self, client: HasServices, *, workflows: Iterable[Defined] = (),
        activities: Iterable[Defined] = (), task_queue: str = "default", max_activities: int = 1000,
        max_threads: int | None = None, max_runs: int = 10_000, max_bytes: int = 512 << 20,
        grace: Duration = 10, yield_timeout: Duration = 30,
    ) -> None:  # fmt: skip
        self.task_queue = check_name("task_queue", task_queue, "Worker()")
        check_count("max_activities", max_activities, "Worker()")
        check_count("max_runs", max_runs, "Worker()")
        check_count("max_bytes", max_bytes, "Worker()", most=BIGINT_MAX)
        if max_threads is not None:
            check_count("max_threads", max_threads, "Worker()")
        self._services = client.services
        self._workflows = by_name(workflows, WorkflowDefinition, "workflows", "@durable.workflow")
        self._activities = by_name(
            activities, ActivityDefinition, "activities", "@durable.activity"
        )
        if not self._workflows and not self._activities:
            raise ConfigurationError(
                "this worker has nothing to do: give it workflows=[…] or activities=[…]"
            )
        self._grace = seconds(grace)
        self._bounds = (max_runs, max_bytes)
        self._membership = Membership(
            self._services.address, self._services.schema, task_queue, self._services.announcer,
            busy=self._busy, on_lost=self._lost, on_joined=self._rejoined,
            on_prune=self._services.prune, on_broken=self._break,
        )  # fmt: skip
        self._attempts = Attempts(
            self._activities, self._membership.clock, self._membership.lease, tasks=max_activities,
            threads=max_threads or 2 * (os.cpu_count() or 1), ending=self._torn_down,
        )  # fmt: skip
        self._attempts.on_freed(self._freed)
        self._graphs = GraphTopics(
            self._services, task_queue, self._attempts.sharing(), clock=self._membership.clock,
            member=self._member, awake=self._membership.awake, broken=self._break,
        )  # fmt: skip
        self._yield_timeout = seconds(yield_timeout)
        self._watchdog: Watchdog | None = None
        self._on_stuck: Callable[[], None] = lambda: None
        self._host: WorkflowWorker | None = None
        self._detached: DetachedAttempts | None = None
        self._revocations: Revocations | None = None
        self._committer: ClosingCommitter | None = None
        self._reconciler: WorkerReconciler | None = None
        self._turns = WakeEvent()
        self._due = WakeEvent()
        self._again = asyncio.Event()
        self._starved = False
        self._stopping = False
        self._unserved = UnservedWork(
            self._services.runs, task_queue, list(self._workflows), list(self._activities)
        )
        who = f"the worker of task queue {task_queue!r}"
        self._loops = Tasks(who, self._break)
        self._work = Tasks(who, self._break)
        self._ending = asyncio.Event()
        self._stopped: asyncio.Task[None] | None = None
        self._broken: BaseException | None = None

    # --- life --------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _at: object) -> None:
        await self.stop()
        if self._broken is not None and error is None:
            raise self._broken

    async def run(self) -> None:
        """Serve the queue until `stop` is called or this task is cancelled; then stop gracefully.

        Raises what broke one of the worker's own loops, should that ever happen.
        """
        await self.start()
        try:
            await self.ended()
        finally:
            await asyncio.shield(self.stop())
        if self._broken is not None:
            raise self._broken

    async def ended(self) -> None:
        """Return when the worker has begun to stop: it was told to, or cannot go on."""
        await self._ending.wait()

    async def start(self) -> None:
        """Bring the schema up to date, join, deploy the generated descriptor, begin to claim."""
        if self._host is not None:
            raise ConfigurationError("this worker has been started already; make another one")
        list(map(check, self._workflows.values()))
        list(map(check, self._activities.values()))
        await self._services.migrate()
        deployed = await self._services.deployer.deploy(
            self.task_queue, list(self._workflows.values()), list(self._activities.values())
        )
        plans = CommandPlans(deployed, self._services.deployer, self._activities)
        self._host = WorkflowWorker(
            self._services, self._workflows, self._attempts, queue=self.task_queue, plans=plans,
            clock=self._membership.clock, count_max=self._bounds[0], bytes_max=self._bounds[1],
            tasks=self._work,
        )  # fmt: skip
        self._revocations = Revocations(self._host, self._attempts, self._services.runs)
        self._reconciler = WorkerReconciler(
            self._services.runs, self._host, self._attempts, self._look_again, self._graphs.rows
        )
        self._watchdog = Watchdog(
            self._host.drains, self._attempts.of_task, self._busy, self._yield_timeout, self._part
        )
        self._attempts.blamed = lambda: "" if self._watchdog is None else self._watchdog.seen
        self._begin(await self._membership.join())
        self._watchdog.start()
        await self._services.announcer.hear_queue(self.task_queue, self._heard_queue)
        for queue in await self._services.runs.resume(
            queue=self.task_queue, workflows=list(self._workflows)
        ):
            self._services.announcer.queue(queue, QueueKind.TURN, amount=0)
        self._look_again()
        if self._workflows:
            self._loops.keep("turns", self._claim_turns)
        if self._activities:
            self._loops.keep("activities", self._claim_activities)
            self._loops.keep("graphs", partial(self._graphs.serve, self._reserved.flights))
        self._loops.keep("poll", self._poll)

    async def stop(self) -> None:
        """Claim nothing more, wait for running activities, give every run back, and leave.

        Returns after `grace` and at most five seconds more. Threads cannot be stopped: where one
        goes on, this process stays a member for its attempt alone, which nobody else runs
        meanwhile; what came of it is recorded when it ends. See `gone` and `leave_at_once`.
        Whoever calls it while it is under way waits for its end, too.
        """
        if self._host is not None:
            await asyncio.shield(self._begin_stop())

    def _begin_stop(self) -> asyncio.Task[None]:
        if self._stopped is None:
            self._stopped = asyncio.get_running_loop().create_task(self._stop())
        return self._stopped

    async def _stop(self) -> None:
        self._stopping = True
        self._ending.set()
        end = asyncio.get_running_loop().time() + self._grace + EXTRA
        if self._watchdog is not None:
            self._watchdog.stop()
        self._loops.cancel()
        await self._loops.wait(1.0)
        if self._revocations is not None:
            self._revocations.close()
        self._started_host.closing = True
        self._started_host.write_down()
        started = {a.id for a in self._attempts.running() if a.last} | self._graphs.last()
        await asyncio.gather(self._attempts.drain(self._grace), self._graphs.stop(self._grace))
        clock, outer = self._membership.clock, asyncio.get_running_loop()
        detached = DetachedAttempts(
            self._services.schema, self._membership.id, clock, outer.is_closed
        )
        detached.add(self._attempts.detach(detached.ended))
        self._detached = detached
        try:
            async with asyncio.timeout_at(end - 1.0):
                await self._wind_up(started | self._attempts.unknown)
        except TimeoutError:
            logger.warning(
                "the database does not answer: others will notice that this worker is gone"
            )
        self._work.cancel()  # what could not be sent by now, nobody waits for
        if detached.left:
            detached.say()
            self._membership.stay(detached.settle)
        else:
            await self._membership.leave(max(1.0, end - outer.time()))

    async def _wind_up(self, started: set[int | None]) -> None:
        await self._services.announcer.unhear_queue(self.task_queue, self._heard_queue)
        host = self._started_host
        await host.give_all_back()
        await self._release_the_rest(started | {a.id for a in self._detached_attempts})
        await self._end_membership(host.member, self._committer)

    @property
    def lingering(self) -> bool:
        """Whether threads have gone on after `stop`, and have not ended."""
        return bool(self._detached_attempts)

    @property
    def _detached_attempts(self) -> list[Attempt]:
        return [] if self._detached is None else self._detached.left

    async def gone(self) -> None:
        """After `stop`: return when threads that went on have ended, and this member has left."""
        while not await asyncio.to_thread(self._membership.joined_within, 1.0):
            pass

    def leave_at_once(self, within: float = 1.0) -> bool:
        """Free what is held as of a process that died, from any thread; whether it was in time.

        Attempts that may not be repeated end as unknown.
        """
        return self._membership.leave_at_once(within)

    async def _end_membership(self, member: int, committer: ClosingCommitter | None) -> None:
        """Close what was made for one member."""
        if committer is not None:
            await committer.close(COMMITS)
        await self._services.announcer.unhear_own(self._services.announcer.member_channel(member))

    async def _release_the_rest(self, started: set[int | None]) -> None:
        """Give back, uncounted, what was claimed and never started, or may be repeated.

        What had started and may not be repeated stays: leaving then says "outcome unknown" of it.
        """
        member = self._membership.id
        held = await retry_until_connected(lambda: self._services.runs.held(member))
        if rest := [i for i in held if i not in started]:
            await retry_until_connected(lambda: self._services.runs.release(member, rest))
            self._services.announcer.queue(self.task_queue, QueueKind.ANY, amount=0)

    def on_stuck(self, callback: Callable[[], None]) -> None:
        """Have `callback()` called, on a thread, once all was given back: code holds the loop.

        Without one the worker stays, and takes work again when its loop goes on.
        """
        self._on_stuck = callback

    def _part(self, run_id: int, failure: Failure) -> None:
        """Give everything up to others, on the watchdog's thread: the loop may never go on."""
        self._membership.give_up(run_id, failure.to_json(), GIVING_UP)
        self._on_stuck()

    def _torn_down(self) -> bool:
        """Whether the event loop cancels everything, ours too: the process is about to end."""
        return not self._stopping and self._loops.cancelling

    def _break(self, name: str, error: BaseException) -> None:
        """A task of ours cannot go on: end, so that others take what is held here."""
        if self._broken is None:
            self._broken = error
            logger.critical("the worker stops, because its task %r broke: %s", name, error)
            self._begin_stop()

    @property
    def _reserved(self) -> WorkerReconciler:
        if self._reconciler is None:
            raise InternalError("a worker that was not started claims nothing")
        return self._reconciler

    @property
    def _started_host(self) -> WorkflowWorker:
        if self._host is None:
            raise InternalError("a worker that was not started has no host to work with")
        return self._host

    def _begin(self, member: int) -> None:
        self._committer = self._services.committer(member)
        self._started_host.begin(member, self._committer)
        self._membership.silence.watch(*self._committer.pulses)
        channel = self._services.announcer.member_channel(member)
        announcer = self._services.announcer
        self._loops.once("hearing", lambda: announcer.hear_own(channel, self._heard_own))

    def _busy(self) -> bool:
        held = self._host is not None and self._host.count
        running = self._attempts.count or self._graphs.busy
        return bool(held or running or self._detached_attempts)

    def _member(self) -> int:
        return 0 if self._host is None else self._host.member

    def _lost(self) -> None:
        """Declared dead: others go on with what was held, so cancel it and write nothing."""
        host = self._started_host
        logger.warning(
            "this worker has lost its lease; what it ran is cancelled, and taken over by others"
        )
        for attempt in self._attempts.running():
            self._attempts.stop(attempt.run_id, attempt.number)
        self._graphs.abandon()
        host.abandon()
        member, host.member = host.member, 0
        if member:
            committer = self._committer
            self._work.once(
                "end of a member", lambda: self._end_membership(member, committer), otherwise=_said
            )

    def _rejoined(self, member: int) -> None:
        if self._stopping:
            return
        self._begin(member)
        self._look_again()

    # --- claiming ----------------------------------------------------------------------------

    async def _claim_turns(self) -> None:
        host, loop = self._started_host, asyncio.get_running_loop()
        claimed_at, ahead = 0.0, CLAIM_AHEAD
        self._turns.set()  # begun again after an error, there may be something that nobody took
        while True:
            await self._turns.wait()
            # What comes within this time goes with one claim; who comes after a rest does not wait.
            await asyncio.sleep(max(0.0, claimed_at + GATHER - loop.time()))
            waiting = self._turns.drain()
            claimed_at = loop.time()
            full = True
            while full and host.member:
                limit = host.room(CLAIM_MAX, ahead)
                member = host.member
                with self._reserved.flights.reserving():
                    claimed = await self._services.runs.claim(
                        member, self.task_queue, list(self._workflows), limit, waiting
                    )
                    host.loader.expect(claimed)
                self._reserved.flights.turned_up(c.run_id for c in claimed)
                if claimed:
                    self._membership.awake()
                    await host.loader.take(member, claimed)
                elif not waiting:
                    self._again.set()  # what woke us may become due within the second
                full = len(claimed) == limit
                ahead = min(CLAIM_MAX, CLAIM_AHEAD + 2 * len(claimed))

    async def _claim_activities(self) -> None:
        host = self._started_host
        self._due.set()
        while True:
            await self._due.wait()
            waiting = self._due.drain()
            full = True
            while full and host.member:
                limit = min(CLAIM_MAX, self._attempts.free())
                self._starved = limit <= 0
                if self._starved:
                    break
                with self._reserved.flights.reserving():
                    attempts = await self._claim(limit, waiting)
                    for attempt in attempts:
                        self._attempts.start(attempt, host.finished)
                if not attempts and not waiting:
                    self._again.set()
                full = len(attempts) == limit
                host.backlogged = full

    async def _claim(self, limit: int, waiting: float) -> list[Attempt]:
        host = self._started_host
        member = host.member
        attempts = await self._services.activities.take(
            member, self.task_queue, list(self._activities), limit, waiting
        )
        if member != host.member:
            return []  # declared dead since: others have them
        if attempts:
            self._membership.awake()
        return attempts

    async def _poll(self) -> None:
        host = self._started_host
        looked = self._membership.clock.now()
        while True:
            self._again.clear()
            if self._membership.clock.now() - looked >= UNSERVED_EVERY:
                looked = self._membership.clock.now()
                await self._unserved.say()
            look = await self._services.runs.look(
                host.member, self.task_queue, list(self._workflows), list(self._activities),
                self._reserved.after,
            )  # fmt: skip
            self._wake(turns=look.turns, due=look.activities)
            for run_id in look.unread:
                host.heard(run_id)
            await host.follow(look.open_edit)
            await self._reserved.compare(look)
            rest = self._membership.clock.now() + REST
            due = rest if look.next is None else min(rest, look.next)
            await asyncio.sleep(POLL_MIN)
            await self._until(due)

    async def _until(self, due: float) -> None:
        """Return when it is time to look again: at `due`, when told, or soon while runs are held.

        Whoever wrote to those may have died before its notification. What nobody holds is watched
        by the sweeper of all members.
        """
        host, now = self._started_host, self._membership.clock.now
        while (left := due - now()) > 0:
            # Not `wait_for`: before 3.12 that loses a cancellation that comes with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, POLL)):
                    await self._again.wait()
                    return
            if host.count:
                return

    def _wake(self, *, turns: bool, due: bool) -> None:
        if turns:
            self._turns.set()
        if due:
            self._due.set()

    def _look_again(self) -> None:
        self._wake(turns=True, due=True)
        self._graphs.wake()

    def _freed(self) -> None:
        if self._starved:
            self._due.set()

    def _heard_queue(self, payload: str) -> None:
        news = queue_news(payload)
        delay = None if news is None else claim_delay(Rank(*self._membership.place), news)
        if news is None or delay is None:
            return
        for event, its in ((self._turns, QueueKind.TURN), (self._due, QueueKind.ACTIVITY)):
            if news.kind in (its, QueueKind.ANY):
                event.set_later(delay) if delay else event.set()

    def _heard_own(self, payload: str) -> None:
        """Our own channel: an inbox to read, a run that ended, an attempt that nobody waits for."""
        news = member_news(payload)
        if news is not None and news.kind is MemberKind.INBOX:
            self._started_host.heard(news.number)
        elif news is not None and self._revocations is not None:
            self._revocations.heard(news)


def _said(_name: str, _error: BaseException) -> None:
    """It was logged, and concerns what nobody uses any more."""
