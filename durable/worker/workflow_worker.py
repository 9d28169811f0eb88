"""The workflow runs that a worker holds in memory, and their turns.

Every run is a small state machine (`ActiveRun`), which this module advances: what arrives is noted,
and when no commit of the run is in flight, a turn is taken, its commit is handed to the committer,
and when that is on disk the next steps start.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Mapping
from functools import partial

from durable.errors import DurableError, InternalError
from durable.postgres.home_loop import call_on
from durable.postgres.retries import retry_until_connected
from durable.protocol.commits import Commit, Committed, StepCommitter
from durable.protocol.facts import Fact
from durable.replay.context import RunIdentity
from durable.replay.definitions import WorkflowDefinition
from durable.replay.drains import Drains
from durable.replay.run import Run
from durable.runtime.interrupts import is_interrupt
from durable.store.activities import Attempt
from durable.store.runs import ClaimedRun
from durable.telemetry.logs import logger
from durable.worker import reports
from durable.worker.active_run import ActiveRun
from durable.worker.active_runs import ActiveRuns
from durable.worker.attempt_code import Outcome
from durable.worker.attempts import Attempts
from durable.worker.command_plans import CommandPlans
from durable.worker.eviction import EvictionQueue, Releases
from durable.worker.inboxes import InboxReader
from durable.worker.local_slots import LocalSlots
from durable.worker.settlements import AttemptSettler
from durable.worker.throttles import PAUSED, QueueThrottles
from durable.worker.timers import RunTimers
from durable.worker.turns import Turn
from durable.worker.withdrawals import Withdrawals
from durable.worker.worker_context import WorkerContext, left_to_reconciler

COMMITS = 10.0  # seconds that giving all runs back waits for their commits
PYTHON = ".".join(platform.python_version_tuple()[:2])


class WorkflowWorker:
    """The runs that this member holds for one queue.

    Args:
        context: the member, and what it acts with.
        workflows: the definitions served, by name.
        attempts: where activities run.
        plans: how the commands of each workflow are carried out.
        count_max: how many runs may be held in memory.
        bytes_max: how heavy they may be together.

    Attributes:
        runs: the runs by their id.
        slots: which of their steps run here.
        throttles: those of the queue.
        drains: which run's code runs now.
    """

    def __init__(
        self, context: WorkerContext, workflows: Mapping[str, WorkflowDefinition],
        attempts: Attempts, plans: CommandPlans, *, count_max: int, bytes_max: int,
    ) -> None:  # fmt: skip
        self.throttles = QueueThrottles(workflows)
        self.slots = LocalSlots(context.queue, attempts, self.throttles)
        self.plans = plans
        self.drains = Drains()
        self._context = context
        self._workflows = workflows
        self._attempts = attempts
        self._committer: StepCommitter | None = None
        self._evictions = EvictionQueue(context)
        self.runs = ActiveRuns(
            attempts, count_max=count_max, bytes_max=bytes_max, evicted=self._evictions.add
        )
        self._settler = AttemptSettler(context)
        self._releases = Releases(context, self._settler)
        self._timers = RunTimers(context, self.runs, attempts, self._settler, self._advance)
        self._inboxes = InboxReader(context, self.runs, self._releases, self._advance)
        self._withdrawals = Withdrawals(
            self.throttles, self.runs, self._evictions, self._releases,
            lambda run: self._take_turn(run, partial(run.take_turn, paused=True)),
        )  # fmt: skip
        self._woken: set[ActiveRun] = set()  # those whose turn has been called for

    # --- beginning and end -------------------------------------------------------------------

    def begin(self, committer: StepCommitter) -> None:
        """Hold runs as a new member, which has joined, and commits by `committer`."""
        self._committer = committer
        member = self._context.member
        self._context.tasks.once(
            "note of what is served", lambda: self.plans.note(member), otherwise=left_to_reconciler
        )

    def abandon(self) -> None:
        """Drop everything at once: this member was declared dead, and others have its runs."""
        self.runs.loading.clear()
        for run in self.runs:
            self.runs.drop(run)

    def close(self) -> None:
        """Start no more steps, and give those that run a row: so a stop can keep them."""
        self.slots.close()
        for run in self.runs:
            if run.steps.unwritten:
                run.write_down()
                self._advance(run)

    async def give_all_back(self) -> None:
        """Finish the commits in flight and give every run back; activities have been drained."""
        while committing := [run.commit for run in self.runs if run.commit is not None]:
            if (await asyncio.wait(committing, timeout=COMMITS))[1]:
                break  # the server does not answer
        now = self._context.clock.now()
        due = {run.claimed.run_id: run.due_when_given_back(now) for run in self.runs}
        for run in self.runs:
            self.runs.drop(run)
        if due:
            await retry_until_connected(
                lambda: self._context.services.runs.give_back(self._context.member, due)
            )
            self._context.announce_turns(0)
        self._timers.close()
        await self._context.tasks.wait(5)

    # --- what is held ------------------------------------------------------------------------

    def knows(self, message: int, run_id: int) -> bool:
        """Whether a row of the worker stream is reserved by us, or may become so.

        Whatever is under way for its run counts: a replay, a commit, an answer, a release.
        """
        under_way = self._context.actions.rows
        if message in under_way or run_id in under_way or run_id in self._evictions:
            return True
        return self.runs.knows(message, run_id)

    def reserved(self) -> set[int]:
        """The rows that ought to be reserved by us, as far as is known at any moment."""
        return self.runs.rows() | self._context.actions.rows | self._evictions.runs

    def under_way(self) -> bool:
        """Whether an inbox is being read, a turn is due, or a commit is in flight."""
        return self._inboxes.busy or bool(self._woken) or len(self.runs.settled()) < len(self.runs)

    # --- runs --------------------------------------------------------------------------------

    def take_up(self, claimed: ClaimedRun, facts: list[Fact]) -> None:
        """Replay a claimed run, and let it go on."""
        if self.throttles.of(claimed.workflow) == PAUSED:  # since it was claimed
            self._evictions.add(claimed.run_id, self._context.clock.now())
            return
        identity = RunIdentity(
            run_id=claimed.run_id, id=claimed.jid, workflow=claimed.workflow,
            task_queue=claimed.queue, started_at=claimed.started_at, python=PYTHON,
        )  # fmt: skip
        try:
            plan = self.plans.plan(claimed.workflow, self.plans.in_force(claimed.edit))
        except DurableError as error:  # an edit that this build cannot read
            self.unreadable(claimed.run_id, error)
            return
        coroutine = Run(self._workflows[claimed.workflow], identity, drains=self.drains)
        run = ActiveRun(claimed, coroutine, slots=self.slots, plan=plan)
        coroutine.on_reached(
            partial(call_on, asyncio.get_running_loop(), partial(self._advance, run))
        )
        if (stale := self.runs.get(claimed.run_id)) is not None:
            # The database has forgotten that we held it: claims need not survive its crash.
            self.runs.drop(stale)
            self._releases.save_results(stale)
        self.runs.add(run)
        self._take_turn(run, lambda: run.replay(facts, PYTHON))

    def unreadable(self, run_id: int, error: Exception) -> None:
        """The history of a claimed run cannot be read: it is released, to be tried again."""
        self._releases.unreadable(run_id, error)

    def arrived(self, run_id: int) -> None:
        """Something arrived for a run; 0: for any of them."""
        if run_id not in self.runs:
            self._evictions.arrived(run_id)
        self._inboxes.arrived(run_id)

    def over(self, run_id: int) -> None:
        """A run that is held here was ended by others: nothing of it is of use any more."""
        if (run := self.runs.get(run_id)) is not None:
            self.runs.drop(run)

    async def follow(self, edit: int) -> None:
        """Have runs of earlier deployments schedule their next steps by this one."""
        if edit <= self.plans.open_edit:
            return
        await self.plans.open(edit)
        logger.info("task queue %r: open runs follow deployment %d", self._context.queue, edit)
        for run in self.runs:
            if run.plan.edit < edit:
                try:
                    run.follow(self.plans.plan(run.claimed.workflow, edit))
                except DurableError as error:  # it goes on as it was, as when it is claimed
                    logger.error(
                        "run %s cannot follow deployment %d: %s", run.claimed.jid, edit, error
                    )

    def throttle(self, found: Mapping[str, int]) -> bool:
        """Obey the throttles that a poll has read; whether they differ from those before."""
        if changed := self.throttles.set(found):
            for run in self.runs:
                self._advance(run)
        return changed

    # --- turns -------------------------------------------------------------------------------

    def _advance(self, run: ActiveRun) -> None:
        """Take a turn, if there is something to do and no commit in flight."""
        self._woken.discard(run)
        if self.throttles.in_force and self._withdrawals.withdraw(run):
            return
        if run.has_work:
            self._take_turn(run, run.take_turn)

    def _advance_soon(self, run: ActiveRun) -> None:
        """Take a turn once this moment's other results are in too: they share the commit."""
        if run not in self._woken:
            self._woken.add(run)
            asyncio.get_running_loop().call_soon(self._advance, run)

    def _take_turn(self, run: ActiveRun, take: Callable[[], Turn]) -> None:
        """Take a turn and carry it out; what it raises, but for an interrupt, is the run's."""
        try:
            turn = take()
        except BaseException as error:  # code, or what decodes, may raise anything
            self.runs.drop(run)
            if is_interrupt(error):
                self._releases.give_back(run)
                raise
            self._releases.let_go(run, error, of_turn=True)
            return
        self._carry_out(run, turn)
        self.runs.used(run)  # only now: what is on its way must not be evicted

    def _carry_out(self, run: ActiveRun, turn: Turn) -> None:
        for number in turn.stopped:
            self._attempts.stop(run.claimed.run_id, number)
        if turn.commit is None:
            self._start(run, turn)
            return
        if self._committer is None:
            raise InternalError("a turn was taken by a host that has not begun to hold runs")
        future = asyncio.ensure_future(self._committer.commit(turn.commit))
        run.commit_sent(future)
        future.add_done_callback(partial(self._committed, run, turn, turn.commit))

    def _committed(
        self, run: ActiveRun, turn: Turn, commit: Commit, future: asyncio.Future[Committed]
    ) -> None:
        run.commit_answered()
        if run.dropped:
            self.slots.release(turn.here)
            return
        cancelled = InternalError("a commit was cancelled") if future.cancelled() else None
        if (error := cancelled or future.exception()) is not None:
            self.slots.release(turn.here)
            self.runs.drop(run)
            self._releases.let_go(run, error, of_turn=False)
            return
        committed = future.result()
        if not committed.passed:
            self.slots.release(turn.here)
            logger.info("run %s was refused a commit, and is given back", run.claimed.jid)
            self.runs.drop(run)
            self._releases.give_back(run)
            return
        run.commit_passed(commit, committed.messages)
        for aside in commit.aside:
            reports.signal_put_aside(run.claimed, aside)
        for number, message in committed.messages.items():
            self._attempts.written(run.claimed.run_id, number, message)
        if commit.finish is not None:
            if commit.finish.state == "failed":
                reports.run_failed(run.claimed, commit.finish.failure)
            self.runs.drop(run)
            return
        self._start(run, turn)
        if run.outcomes:
            for attempt, outcome in run.take_outcomes():
                self.finished(attempt, outcome)
        self._advance(run)

    def _start(self, run: ActiveRun, turn: Turn) -> None:
        if self.slots.closed:
            self.slots.release(turn.here)
            turn.here = []
        claimed = run.claimed
        for command in turn.here:
            attempt = Attempt(
                run.steps.messages.get(command.number), claimed.run_id, claimed.jid,
                claimed.workflow, command.number, command.name, command.input, command.options, 1,
                run.run.time, topic=command.topic,
            )  # fmt: skip
            self._attempts.start(attempt, self.finished, reserved=True)
        self._timers.arm(run, turn)

    # --- what attempts bring -----------------------------------------------------------------

    def finished(self, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt that ran in this process has ended."""
        run = self.runs.get(attempt.run_id)
        if outcome.interrupted:
            self._interrupted(attempt, run)
        if outcome.interrupted or outcome.abandoned:
            return
        if run is None or attempt.number not in run.run.open:
            if attempt.id is not None:
                self._settler.submit(attempt, attempt.id, outcome)
            return
        if run.commit is not None:
            # Whether the attempt has a row is known when the commit in flight is answered.
            run.outcomes.append((attempt, outcome))
            return
        message = run.steps.message_of(attempt)
        if outcome.failure is not None and message is not None:
            run.steps.messages.pop(attempt.number, None)
            self._settler.submit(attempt, message, outcome)
            return
        run.attempt_ended(attempt, outcome, message, self._context.clock.now())
        self._advance_soon(run)

    def _interrupted(self, attempt: Attempt, run: ActiveRun | None) -> None:
        """The process ends, which is no failure of the attempt: given back, uncounted."""
        if run is not None:
            self.runs.drop(run)
            self._releases.give_back(run)
        elif attempt.id is not None:
            row, release = attempt.id, self._context.services.runs.release
            self._context.actions.begin(
                row, f"release of attempt {row}", lambda: release(self._context.member, [row])
            )
