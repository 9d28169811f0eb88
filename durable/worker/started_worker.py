"""A started worker: a member that claims what its queue holds, runs it, and gives it back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from durable.postgres.retries import retry_until_connected
from durable.protocol.failures import Failure
from durable.runtime.notifications import MemberKind, QueueKind, member_news
from durable.runtime.supervision import Tasks
from durable.runtime.watchdog import Watchdog
from durable.store.membership import MemberCallbacks, Membership
from durable.telemetry.logs import logger
from durable.worker.attempts import ActivitySlots, Attempts
from durable.worker.blocked_loop import BlockedLoop
from durable.worker.claims import Claims
from durable.worker.command_plans import CommandPlans
from durable.worker.detached_attempts import DetachedAttempts
from durable.worker.graph_topics import GraphTopics
from durable.worker.poll import Poll
from durable.worker.reconciler import WorkerReconciler
from durable.worker.registry import Registry
from durable.worker.revocations import Revocations
from durable.worker.worker_context import WorkerContext, left_to_reconciler
from durable.worker.worker_services import ClosingCommitter, Deployed, WorkerServices
from durable.worker.workflow_worker import WorkflowWorker

COMMITS = 2.0  # seconds that commits in flight have when a membership ends
EXTRA = 4.0  # seconds a stop may take after its grace; of five, one is to close the client
GIVING_UP = 10.0  # seconds that a worker whose loop is blocked takes to free what it holds


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The limits of a worker; see `Worker`."""

    max_activities: int
    max_threads: int
    max_runs: int
    max_bytes: int
    grace: float
    yield_timeout: float


class WorkerEvents:
    """What the owner of a worker is notified of.

    Attributes:
        ending: set when the worker has begun to stop.
        broken: what broke one of its tasks, if that is why it stops.
    """

    def __init__(self) -> None:
        self.ending = asyncio.Event()
        self.broken: BaseException | None = None
        self._on_stuck: Callable[[], None] | None = None

    def on_stuck(self, callback: Callable[[], None]) -> None:
        """Have `callback()` called when the worker's loop is blocked and all was given back."""
        self._on_stuck = callback

    def stuck(self) -> None:
        """The worker's loop is blocked; called on a thread."""
        if self._on_stuck is not None:
            self._on_stuck()

    def broke(self, error: BaseException) -> None:
        """A task of the worker cannot go on."""
        self.broken = error


class StartedWorker:
    """One member that serves one task queue.

    Attributes:
        membership: its own.
        workflows: the runs that it holds.
    """

    def __init__(
        self, services: WorkerServices, deployed: Deployed, registry: Registry,
        options: WorkerOptions, events: WorkerEvents,
    ) -> None:  # fmt: skip
        queue = deployed.queue
        self._options = options
        self._events = events
        self._registry = registry
        self._stopped: asyncio.Task[None] | None = None
        self._detached: DetachedAttempts | None = None
        self._committer: ClosingCommitter | None = None
        name = f"the worker of task queue {queue!r}"
        self._loops = Tasks(name, self._break)
        self._work = Tasks(name, self._break)
        self.membership = Membership(
            services.address, services.schema, queue, services.announcer,
            MemberCallbacks(
                self._busy, self._lost, self._rejoined, services.prune, self._break
            ),
        )  # fmt: skip
        clock = self.membership.clock
        self._context = WorkerContext(services, queue, clock, self._work)
        slots = ActivitySlots(options.max_activities, options.max_threads)
        self._attempts, graph_attempts = (
            Attempts(
                registry.activities, clock, self.membership.lease, slots, ending=self._torn_down,
                blamed=lambda: self._watchdog.seen,
            )
            for _ in range(2)
        )  # fmt: skip
        self._graphs = GraphTopics(
            self._context, graph_attempts, awake=self.membership.awake, broken=self._break
        )
        self.workflows = WorkflowWorker(
            self._context, registry.workflows, self._attempts,
            CommandPlans(deployed, services.deployer, registry.activities),
            count_max=options.max_runs, bytes_max=options.max_bytes,
        )  # fmt: skip
        self._revocations = Revocations(self._context, self.workflows, self._attempts)
        self._reconciler = WorkerReconciler(
            self._context, self.workflows, self._attempts, self._graphs, self._claim_all
        )
        self._claims = Claims(
            self._context, self.membership, registry, self.workflows, self._attempts,
            self._reconciler,
        )  # fmt: skip
        self._poll = Poll(self._context, registry, self.workflows, self._claims, self._reconciler)
        loop = BlockedLoop(self.workflows.drains, self._attempts, self._busy, self._give_up)
        self._watchdog = Watchdog(loop, options.yield_timeout)

    # --- beginning ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Join, resume what runs this worker can go on with, and begin to claim."""
        queue, services = self._context.queue, self._context.services
        self._begin(await self.membership.join())
        self._watchdog.start()
        await services.announcer.listen_queue(queue, self._claims.on_notification)
        workflows = list(self._registry.workflows)
        for resumed in await services.runs.resume(queue=queue, workflows=workflows):
            services.announcer.queue(resumed, QueueKind.TURN, amount=0)
        self._claim_all()
        if workflows:
            self._loops.keep("turns", self._claims.claim_turns)
        if self._registry.activities:
            self._loops.keep("activities", self._claims.claim_attempts)
            self._loops.keep("graphs", partial(self._graphs.serve, self._reconciler.flights))
        self._loops.keep("poll", self._poll.run)

    def _begin(self, member: int) -> None:
        """Reserve rows as a new member."""
        announcer = self._context.services.announcer
        self._context.join(member)
        self._committer = self._context.services.committer(member)
        self.workflows.begin(self._committer)
        self.membership.silence.watch(*self._committer.pulses)
        channel = announcer.member_channel(member)
        self._loops.once("hearing", lambda: announcer.listen_own(channel, self._on_notification))

    def _on_notification(self, payload: str) -> None:
        """The member's own channel: an inbox to read, a run that ended, an unwanted attempt."""
        news = member_news(payload)
        if news is not None and news.kind is MemberKind.INBOX:
            self.workflows.arrived(news.number)
        elif news is not None:
            self._revocations.on_notification(news)

    def _claim_all(self) -> None:
        self._claims.wake(turns=True, attempts=True)
        self._graphs.wake()

    # --- membership --------------------------------------------------------------------------

    def _busy(self) -> bool:
        return bool(
            len(self.workflows.runs) or self._attempts.count or self._graphs.busy or self.detached
        )

    def _lost(self) -> None:
        """Declared dead: others go on with what was held, so cancel it and write nothing."""
        logger.warning(
            "this worker has lost its lease; what it ran is cancelled, and taken over by others"
        )
        self._attempts.stop_all()
        self._graphs.abandon()
        self.workflows.abandon()
        if member := self._context.leave():
            self._work.once(
                "end of a member",
                partial(self._end_membership, member, self._committer),
                otherwise=left_to_reconciler,
            )

    def _rejoined(self, member: int) -> None:
        if self._stopped is None:
            self._begin(member)
            self._claim_all()

    async def _end_membership(self, member: int, committer: ClosingCommitter | None) -> None:
        """Close what was made for one member."""
        if committer is not None:
            await committer.close(COMMITS)
        announcer = self._context.services.announcer
        await announcer.unlisten_own(announcer.member_channel(member))

    def _give_up(self, run_id: int, failure: Failure) -> None:
        """Give everything up to others, on the watchdog's thread: the loop may never go on."""
        self.membership.give_up(run_id, failure.to_json(), GIVING_UP)
        self._events.stuck()

    def _torn_down(self) -> bool:
        """Whether the event loop cancels everything, ours too: the process is about to end."""
        return self._stopped is None and self._loops.cancelling

    def _break(self, name: str, error: BaseException) -> None:
        """A task of ours cannot go on: end, so that others take what is held here."""
        if self._events.broken is None:
            self._events.broke(error)
            logger.critical("the worker stops, because its task %r broke: %s", name, error)
            self.begin_stop()

    # --- stop --------------------------------------------------------------------------------

    @property
    def detached(self) -> bool:
        """Whether threads have gone on after the stop, and have not ended."""
        return self._detached is not None and bool(self._detached.left)

    def begin_stop(self) -> asyncio.Task[None]:
        """Begin to stop; the task ends when that is done, and is the same for all callers."""
        if self._stopped is None:
            self._stopped = asyncio.get_running_loop().create_task(self._stop())
        return self._stopped

    async def _stop(self) -> None:
        outer = asyncio.get_running_loop()
        self._events.ending.set()
        end = outer.time() + self._options.grace + EXTRA
        self._watchdog.stop()
        self._loops.cancel()
        await self._loops.wait(1.0)
        self._revocations.close()
        self.workflows.close()
        started = {a.id for a in self._attempts.running() if a.last} | self._graphs.last()
        grace = self._options.grace
        await asyncio.gather(self._attempts.drain(grace), self._graphs.stop(grace))
        detached = self._detached = DetachedAttempts(
            self._context.services.schema, self.membership.id, self._context.clock, outer.is_closed
        )
        detached.add(self._attempts.detach(detached.ended))
        try:
            async with asyncio.timeout_at(end - 1.0):
                left = {a.id for a in detached.left}
                await self._wind_up(started | self._attempts.unknown | left)
        except TimeoutError:
            logger.warning(
                "the database does not answer: others will notice that this worker is gone"
            )
        self._work.cancel()  # what could not be sent by now is of no use any more
        if detached.left:
            detached.warn()
            self.membership.stay(detached.settle)
        else:
            await self.membership.leave(max(1.0, end - outer.time()))

    async def _wind_up(self, started: set[int | None]) -> None:
        announcer, member = self._context.services.announcer, self._context.member
        await announcer.unlisten_queue(self._context.queue, self._claims.on_notification)
        await self.workflows.give_all_back()
        await self._release_the_rest(started)
        await self._end_membership(member, self._committer)

    async def _release_the_rest(self, started: set[int | None]) -> None:
        """Give back, uncounted, what was claimed and never started, or may be repeated.

        What had started and may not be repeated stays: leaving records its outcome as unknown.
        """
        services, member = self._context.services, self.membership.id
        held = await retry_until_connected(lambda: services.runs.held(member))
        if rest := [row for row in held if row not in started]:
            await retry_until_connected(lambda: services.runs.release(member, rest))
            services.announcer.queue(self._context.queue, QueueKind.ANY, amount=0)
