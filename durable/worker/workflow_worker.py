"""Holding runs: turns, commits, timers, inboxes, eviction.

One `WorkflowWorker` serves one task queue in one process. Every run that it holds is a small state
machine (`ActiveRun`), which this module moves: what arrives is noted, and when no commit of the run
is in flight, a turn is taken, its commit is handed to the committer, and when that is on disk the
next steps start.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial

from durable.errors import DurableError, InternalError
from durable.postgres.loops import call_on
from durable.postgres.retrying import retry_until_connected
from durable.protocol.commands import StartActivity, StartTimer
from durable.protocol.commits import Commit, Committed, StepCommitter
from durable.protocol.facts import Fact, FactKind
from durable.replay.cache import RunCache
from durable.replay.context import RunIdentity
from durable.replay.definitions import WorkflowDefinition
from durable.replay.loop import Drains
from durable.replay.run import Run
from durable.runtime.clocks import MemberClock
from durable.runtime.interrupts import is_interrupt
from durable.runtime.notifications import QueueKind
from durable.runtime.supervision import Tasks
from durable.store.activities import Attempt
from durable.store.runs import ClaimedRun
from durable.telemetry.logs import logger
from durable.worker import reports
from durable.worker.active_run import ActiveRun
from durable.worker.attempts import Attempts, Outcome
from durable.worker.command_plans import CommandPlans
from durable.worker.eviction import EvictionQueue, Releases
from durable.worker.run_loader import RunLoader, read_apart
from durable.worker.settlements import AttemptSettler, bring
from durable.worker.timers import FlushTimers, Item, Timers
from durable.worker.turns import Arrived, Turn
from durable.worker.worker_services import WorkerServices

COMMITS = 10.0  # seconds that giving all runs back waits for their commits
PYTHON = ".".join(platform.python_version_tuple()[:2])


class WorkflowWorker:
    """The runs that this member holds for one queue.

    Args:
        services: the streams and the rest of what the client gave.
        workflows: the definitions served, by name.
        attempts: where activities run.
        queue: the task queue.
        plans: how the commands of each workflow are carried out.
        clock: the database's time.
        count_max: how many runs may be held in memory.
        bytes_max: how heavy they may be together.
        tasks: where it does what has to be waited for.

    Attributes:
        member: the id under which it holds them; 0 while this process is nobody.
        closing: set it to have no step started any more.
        drains: whose code runs now.
        taking: the way of claimed runs into memory.
    """

    def __init__(  # noqa: PLR0913 - built in one place, from what each name says
        self, services: WorkerServices, workflows: Mapping[str, WorkflowDefinition],
        attempts: Attempts, *, queue: str, plans: CommandPlans, clock: MemberClock,
        count_max: int, bytes_max: int, tasks: Tasks,
    ) -> None:  # fmt: skip
        self.member = 0
        self.closing = False
        self.backlogged = False
        self._services = services
        self._workflows = workflows
        self._attempts = attempts
        self._queue = queue
        self.plans = plans
        self._clock = clock
        self._held: dict[int, ActiveRun] = {}
        self._cache = RunCache(count_max, bytes_max, evict=self._evicted, busy=self._is_busy)
        self._committer: StepCommitter | None = None
        self._answers = AttemptSettler(services, clock, lambda: self.member)
        self._timers = Timers(clock.now, self._timer_due, clock.doubtful)
        self._limits = Timers(clock.now, self._limit_due, clock.doubtful)
        self._flushes = FlushTimers(clock.monotonic, self._flush_due)
        self._tasks = tasks
        self._unread: set[int] = set()
        self.drains = Drains()
        self._reader: asyncio.Task[None] | None = None
        self._evictions = EvictionQueue(services, queue, clock, lambda: self.member, tasks)
        self.loader = RunLoader(services, self, clock.host, tasks)
        self._answering: set[int] = set()
        self._releasing = Releases(
            services, self._answers, queue, clock, lambda: self.member, tasks
        )

    # --- beginning and end -------------------------------------------------------------------

    def begin(self, member: int, committer: StepCommitter) -> None:
        """Hold runs as `member` from now on."""
        self.member = member
        self._committer = committer
        self._tasks.once("note of what is served", lambda: self.plans.note(member), otherwise=_told)

    @property
    def count(self) -> int:
        """How many runs are held."""
        return len(self._held)

    def room(self, most: int, among: int) -> int:
        """How many runs more may be taken, `most` at most; for some of them, others may go."""
        return self._cache.room(most, among)

    def holds(self, run_id: int) -> bool:
        """Whether a run is held here."""
        return run_id in self._held

    def knows(self, message: int, run_id: int) -> bool:
        """Whether we know that a row of the worker stream is reserved by us, or may become so.

        Whatever is under way for its run counts: a replay, a commit, an answer, a release.
        """
        if message in self.loader.loading or message in self._answering:
            return True
        if run_id in self._releasing.going or run_id in self._evictions:
            return True
        if self._answers.pending(message):
            return True
        held = self._held.get(run_id)
        return held is not None and (message == run_id or held.committing or held.has(message))

    def reserved(self) -> set[int]:
        """The rows that ought to be reserved by us, as far as it can be said at any moment."""
        known = {*self._held, *self.loader.loading, *self._answering, *self._releasing.going}
        for held in self._held.values():
            known.update(held.messages.values())
        return known | self._evictions.runs

    def settled(self) -> set[int]:
        """Those runs of them of which nothing is under way: somebody reserved them for us."""
        return {r for r, held in self._held.items() if not held.committing}

    def abandon(self) -> None:
        """Drop everything at once: this member was declared dead, and others have its runs."""
        self.loader.loading.clear()
        for held in list(self._held.values()):
            self._forget(held)

    def write_down(self) -> None:
        """Give every step that runs here a row, by which a stop can keep it without its run."""
        for held in list(self._held.values()):
            if held.deferred:
                held.flush = True
                self._pump(held)

    async def give_all_back(self) -> None:
        """Finish the commits in flight and give every run back; activities have been drained."""
        while committing := [h.commit for h in self._held.values() if h.commit is not None]:
            if (await asyncio.wait(committing, timeout=COMMITS))[1]:
                break  # the server does not answer
        now = self._clock.now()
        due = {
            r: now if h.deferred or h.arrived or not h.settled else h.next_due()
            for r, h in self._held.items()
        }
        for held in list(self._held.values()):
            self._forget(held)
        if due:
            await retry_until_connected(lambda: self._services.runs.give_back(self.member, due))
            self._services.announcer.queue(self._queue, QueueKind.TURN, amount=0)
        self._timers.close()
        self._limits.close()
        self._flushes.close()
        await self._tasks.wait(5)

    # --- taking runs -------------------------------------------------------------------------

    def unreadable(self, run_id: int, error: Exception) -> None:
        """The history of a claimed run cannot be read: it is released, to be tried again."""
        self._releasing.unread(run_id, error)

    def under_way(self) -> bool:
        """Whether an inbox is being read, or a commit is in flight."""
        reading = self._unread or (self._reader is not None and not self._reader.done())
        return bool(reading) or any(h.committing or h.woken for h in self._held.values())

    def take_up(self, claimed: ClaimedRun, facts: list[Fact]) -> None:
        """Fold a claimed run, and let it go on."""
        definition = self._workflows[claimed.workflow]
        identity = RunIdentity(
            run_id=claimed.run_id, id=claimed.jid, workflow=claimed.workflow,
            task_queue=claimed.queue, started_at=claimed.started_at, python=PYTHON,
        )  # fmt: skip
        run = Run(definition, identity, drains=self.drains)
        try:
            plan = self.plans.plan(claimed.workflow, self.plans.in_force(claimed.edit))
        except DurableError as error:  # an edit that this build cannot read
            self.unreadable(claimed.run_id, error)
            return
        held = ActiveRun(claimed, run, slots=self, plan=plan)
        run.on_reached(partial(call_on, asyncio.get_running_loop(), partial(self._pump, held)))
        if (stale := self._held.get(claimed.run_id)) is not None:
            # The database has forgotten that we held it: claims need not survive its crash.
            self._forget(stale)
            self._releasing.rescue(stale)
        self._held[claimed.run_id] = held
        turn = self._turn_of(held, lambda: held.replay(facts, PYTHON))
        if turn is not None:
            self._carry_out(held, turn)
            self._cache.put(run)  # only now: what is on its way must not be evicted

    def reserve(self, command: StartActivity, queue: str) -> bool:
        """Take a slot for a step of a run of `queue`; False: it has to go over the stream."""
        elsewhere = command.options.task_queue not in (None, self._queue)
        if elsewhere or self.backlogged or self.closing or queue != self._queue:
            return False
        return self._attempts.reserve(command.served_by)

    def release(self, commands: Iterable[StartActivity]) -> None:
        """Give back the slots of steps that will not be started here after all."""
        for command in commands:
            self._attempts.release(command.served_by)

    async def follow(self, edit: int) -> None:
        """Have runs of earlier deployments schedule their next steps by this one."""
        if edit <= self.plans.open_edit:
            return
        await self.plans.know((edit,))
        self.plans.open_edit = edit
        logger.info("task queue %r: open runs follow deployment %d", self._queue, edit)
        for held in self._held.values():
            if held.plan.edit < edit:
                try:
                    held.plan = self.plans.plan(held.claimed.workflow, edit)
                except DurableError as error:  # it goes on as it was; a claim of it says the same
                    logger.error(
                        "run %s cannot follow deployment %d: %s", held.claimed.jid, edit, error
                    )

    # --- turns -------------------------------------------------------------------------------

    def _pump(self, held: ActiveRun) -> None:
        """Take a turn, if there is something to do and no commit in flight."""
        held.woken = False
        if (
            held.committing
            or held.gone
            or not (held.arrived or held.retries or held.flush or held.run.reached)
        ):
            return
        turn = self._turn_of(held, held.take_turn)
        if turn is not None:
            self._carry_out(held, turn)
            self._cache.put(held.run)

    def _turn_of(self, held: ActiveRun, take: Callable[[], Turn]) -> Turn | None:
        """What came of a turn; whatever it raises is this run's alone, but for an interrupt."""
        try:
            return take()
        except BaseException as error:  # code, or what decodes, may raise anything
            if is_interrupt(error):
                self._drop(held)
                raise
            self._suspend(held, error)
            return None

    def _pump_soon(self, held: ActiveRun) -> None:
        """Take a turn once this moment's other results are in too: they share the commit."""
        if not held.woken:
            held.woken = True
            asyncio.get_running_loop().call_soon(self._pump, held)

    def _carry_out(self, held: ActiveRun, turn: Turn) -> None:
        for number in turn.stopped:
            self._attempts.stop(held.claimed.run_id, number)
        if turn.commit is None:
            self._start(held, turn)
            return
        if self._committer is None:
            raise InternalError("a turn was taken by a host that has not begun to hold runs")
        held.commit = future = asyncio.ensure_future(self._committer.commit(turn.commit))
        future.add_done_callback(partial(self._committed, held, turn, turn.commit))

    def _committed(
        self, held: ActiveRun, turn: Turn, commit: Commit, future: asyncio.Future[Committed]
    ) -> None:
        held.commit = None
        if held.gone:
            self.release(turn.here)
            return
        error = (
            InternalError("a commit was cancelled") if future.cancelled() else future.exception()
        )
        if error is not None:
            self.release(turn.here)
            self._forget(held)
            self._releasing.let_go(held, error, of_turn=False)
            return
        committed = future.result()
        if not committed.passed:
            self.release(turn.here)
            logger.info(
                "run %s was refused a commit; it is given back and taken anew", held.claimed.jid
            )
            self._drop(held)
            return
        held.passed(commit, committed.messages)
        for aside in commit.aside:
            reports.signal_put_aside(held.claimed, aside)
        for number, message in committed.messages.items():
            self._attempts.written(held.claimed.run_id, number, message)
        if commit.finish is not None:
            if commit.finish.state == "failed":
                reports.run_failed(held.claimed, commit.finish.failure)
            self._forget(held)
            return
        self._start(held, turn)
        outcomes, held.outcomes = held.outcomes, []
        for attempt, outcome in outcomes:
            self.finished(attempt, outcome)
        self._pump(held)

    def _start(self, held: ActiveRun, turn: Turn) -> None:
        run_id = held.claimed.run_id
        for timer in turn.timers:
            self._timers.add(timer.due, (run_id, timer.number))
        for at, number in turn.limits:
            self._limits.add(at, (run_id, number))
        if self.closing:
            self.release(turn.here)
            turn.here = []
        for command in turn.here:
            attempt = Attempt(
                held.messages.get(command.number), run_id, held.claimed.jid, held.claimed.workflow,
                command.number, command.name, command.input, command.options, 1, held.run.time,
                topic=command.topic,
            )  # fmt: skip
            self._attempts.start(attempt, self.finished, reserved=True)
        if held.run.issued > held.issued and held.run.open:
            self._flushes.add(run_id, held.run.issued)

    # --- what attempts bring -----------------------------------------------------------------

    def finished(self, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt that ran in this process has ended."""
        held = self._held.get(attempt.run_id)
        if outcome.interrupted:
            self._interrupted(attempt, held)
            return
        if held is None or held.gone or attempt.number not in held.run.open:
            if attempt.id is not None:
                row = attempt.id
                self._answer(row, lambda: self._answers.elsewhere(attempt, row, outcome))
            return
        if outcome.abandoned:
            return
        if held.committing:
            # Whether the attempt has a row is known when the commit in flight is answered.
            held.outcomes.append((attempt, outcome))
            return
        message = attempt.id if attempt.id is not None else held.messages.get(attempt.number)
        failure = outcome.failure
        if failure is not None and message is not None:
            held.messages.pop(attempt.number, None)
            self._answer(message, lambda: self._answers.fail(attempt, message, failure))
            return
        bring(held, attempt, outcome, message, self._clock.now())
        self._pump_soon(held)

    def _interrupted(self, attempt: Attempt, held: ActiveRun | None) -> None:
        """The process ends, which is no failure of the attempt: given back, uncounted."""
        if held is not None:
            self._drop(held)
        elif attempt.id is not None:
            row = attempt.id
            self._tasks.once(
                f"release of attempt {row}",
                lambda: self._services.runs.release(self.member, [row]),
                otherwise=_told,
            )

    def _answer(self, message: int, answer: Callable[[], Coroutine[object, object, None]]) -> None:
        """Have a row answered; from this moment on nobody takes it for one that we forgot."""
        self._answering.add(message)
        task = self._tasks.once(f"answer of attempt {message}", answer, otherwise=_told)
        task.add_done_callback(lambda _: self._answering.discard(message))

    def over(self, run_id: int) -> None:
        """Somebody else ended a run that is held here: nothing of it is of use any more."""
        held = self._held.get(run_id)
        if held is not None:
            self._forget(held)

    # --- inboxes -----------------------------------------------------------------------------

    def heard(self, run_id: int) -> None:
        """Something arrived for a held run; 0: for any of them."""
        if run_id == 0:
            self._unread.update(self._held)
        elif run_id in self._held:
            self._unread.add(run_id)
        elif run_id in self._evictions:
            self._evictions.heard(run_id)
        if self._unread and (self._reader is None or self._reader.done()):
            self._reader = self._tasks.once("inboxes", self._read_inboxes)

    async def _read_inboxes(self) -> None:
        while self._unread:
            runs = [self._held[r] for r in self._unread if r in self._held]
            self._unread.clear()
            before = [(held, held.reading()) for held in runs]
            ids = [held.claimed.run_id for held in runs]
            inboxes, unreadable = await read_apart(self._services.histories.inboxes, ids)
            for held, gone in before:
                if (error := unreadable.get(held.claimed.run_id)) is not None:
                    self._forget(held)
                    self._releasing.let_go(held, error, of_turn=False)
                    continue
                held.read(gone, inboxes.get(held.claimed.run_id, ()))
                self._pump(held)

    # --- timers and flushes ------------------------------------------------------------------

    def _timer_due(self, due: float, item: Item) -> None:
        run_id, number = item
        held = self._held.get(run_id)
        if held is not None and isinstance(held.run.open.get(number), StartTimer):
            held.arrived.append(Arrived(Fact(FactKind.TIMER, due, number, "timer")))
            self._pump(held)

    def _limit_due(self, due: float, item: Item) -> None:
        run_id, number = item
        held = self._held.get(run_id)
        step = None if held is None else held.run.open.get(number)
        if held is not None and isinstance(step, StartActivity):
            for kind, at in held.limits.get(number, {}).items():
                if at <= due:
                    limit = float(getattr(step.options, kind) or 0)
                    self._tasks.once(
                        f"limit of step {number}",
                        partial(self._answers.overdue, held.claimed, step, kind, limit),
                        otherwise=_told,
                    )

    def _flush_due(self, run_id: int, issued: int) -> None:
        """Write down what is open of the steps issued a while ago, unless its result is here."""
        held = self._held.get(run_id)
        if held is not None and not all(
            self._attempts.returned(run_id, n) for n in held.unwritten(issued)
        ):
            held.flush = True
            self._pump(held)

    # --- letting go --------------------------------------------------------------------------

    def _suspend(self, held: ActiveRun, error: BaseException) -> None:
        """The run cannot go on with this code or this payload: nothing of the turn is written."""
        self._forget(held)
        self._releasing.let_go(held, error, of_turn=True)

    def _drop(self, held: ActiveRun) -> None:
        """A fence refused the run: give it back."""
        self._forget(held)
        self._releasing.give_back(held)

    def _forget(self, held: ActiveRun) -> None:
        run_id = held.claimed.run_id
        held.gone = True
        self._held.pop(run_id, None)
        self._cache.drop(run_id)
        for number in (*held.deferred, *held.messages):
            self._attempts.stop(run_id, number, unwritten=True)
        held.run.evict()

    def _is_busy(self, run: Run) -> bool:
        held = self._held.get(run.identity.run_id)
        return held is not None and not (held.idle and held.settled)

    def _evicted(self, run: Run) -> None:
        """The cache is full: give the least recently used run back."""
        held = self._held.get(run.identity.run_id)
        if held is None:
            return
        due = held.next_due()
        self._forget(held)
        self._evictions.add(run.identity.run_id, due)


def _told(_name: str, _error: BaseException) -> None:
    """It was logged, and concerns one run; the reconciler finds the row that is left reserved."""
