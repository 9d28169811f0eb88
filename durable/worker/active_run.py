"""A run in memory: what it has committed, what has arrived, and what its next turn would write.

A turn applies the facts that have arrived, one at a time, and puts what came of them into one
`Commit`. Nothing here waits or sends: `workflow_worker` does that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from durable.descriptor.command_plan import CommandPlan
from durable.errors import DescriptorError
from durable.protocol.commands import Command, StartActivity, StartChild, StartGraph, StartTimer
from durable.protocol.commits import Arrival, Commit, Committed, Intent
from durable.protocol.facts import Fact, FactKind
from durable.protocol.failures import step_failed
from durable.replay.run import Run
from durable.store.activities import Attempt, Settlement
from durable.store.runs import ClaimedRun
from durable.worker import reports
from durable.worker.attempt_code import Outcome
from durable.worker.local_slots import LocalSlots
from durable.worker.open_steps import OpenSteps
from durable.worker.turns import Arrived, Retry, Turn, TurnDraft

_WITH_INPUT = (StartActivity, StartChild, StartGraph)


class ActiveRun:
    """One run that this member holds.

    Args:
        claimed: its job row.
        run: its coroutine, which has taken no fact yet.
        slots: where a slot is reserved for an attempt that can start in this process.
        plan: how its commands are carried out.

    Attributes:
        revision: how many facts of it are on disk.
        steps: its open steps.
        dropped: whether this member holds it no more.
        was_read: whether its inbox has been read since it was claimed.
        outcomes: those of attempts that ended while a commit was in flight.
    """

    def __init__(
        self, claimed: ClaimedRun, run: Run, *, slots: LocalSlots, plan: CommandPlan
    ) -> None:
        self.claimed = claimed
        self.run = run
        self.plan = plan
        self.revision = claimed.revision
        self.steps = OpenSteps(run, claimed)
        self.dropped = False
        self.outcomes: list[tuple[Attempt, Outcome]] = []
        self.commit: asyncio.Future[Committed] | None = None  # the one in flight
        self._slots = slots
        self._arrived: deque[Arrived] = deque()
        self._retries: list[Retry] = []
        self._write = False
        self.was_read = False
        self._carried: list[Fact] = []  # applied, to be written with the next commit
        self._used: list[Arrived] = []  # applied, and not yet on disk
        self._seen: set[int] = set()  # rows of the inbox
        self._consumed: set[int] = set()  # rows of the inbox that are facts on disk now
        self._requests: set[str] = set()  # ids of the requests that are facts
        # Its pin follows the code: on another graph than that of its last commit, it is written.
        self._version = None if plan.version == claimed.version else plan.version

    @property
    def has_work(self) -> bool:
        """Whether there is a turn to take, and no commit in flight."""
        return not (self.commit or self.dropped) and bool(
            self._arrived or self._retries or self._write or self.run.reached
        )

    @property
    def idle(self) -> bool:
        """Whether it could be given back now: nothing is under way, and all of it is on disk."""
        waiting = self._arrived or self._retries or self.outcomes
        running = self.steps.unwritten or self.steps.messages
        return not (self.commit or waiting or running) and self._is_saved

    @property
    def _is_saved(self) -> bool:
        """Whether all that it has done is on disk, or comes out the same from a fresh start."""
        return all(f.kind is FactKind.STARTED for f in self._carried)

    def due_when_given_back(self, now: float) -> float | None:
        """When it has something to do next: at once if anything of it is lost with this process."""
        if self.steps.unwritten or self._arrived or self.commit or not self._is_saved:
            return now
        return self.steps.next_due()

    def has(self, message: int) -> bool:
        """Whether a row is of an attempt which runs here, or whose result waits for its turn."""
        return message in (*self.steps.messages.values(), *(a.message for a in self._arrived))

    def unanswered(self, issued: int) -> list[int]:
        """Open steps up to `issued` that have neither a row nor, here, a result."""
        answered = {a.fact.number for a in self._arrived} | {a.number for a, _ in self.outcomes}
        first = self.steps.issued
        return [n for n in self.run.open if first < n <= issued and n not in answered]

    def drop(self) -> None:
        """This member holds it no more."""
        self.dropped = True
        self.run.evict()

    def follow(self, plan: CommandPlan) -> None:
        """Have its next commands carried out by another plan."""
        self.plan = plan

    def write_down(self) -> None:
        """Have its next turn write its open steps down."""
        self._write = True

    # --- the first turn ----------------------------------------------------------------------

    def replay(self, facts: Sequence[Fact], python: str) -> Turn:
        """Bring the coroutine to where its history ends, or begin it; what is to be started then.

        Raises whatever `Run.apply` raises: the code does not fit the history.
        """
        run = self.run
        if facts:
            commands = self._replay(facts)
        else:
            started = Fact(
                FactKind.STARTED, self.claimed.started_at, name=self.claimed.workflow,
                data=_begun(python, self.claimed), input=self.claimed.input,
            )  # fmt: skip
            commands = run.apply(started)
            self._carried.append(started)
        turn = self._turn([], commands, [])
        turn.timers = [s for s in run.open.values() if isinstance(s, StartTimer)]
        turn.limits = [(at, n) for n, all_ in self.steps.limits.items() for at in all_.values()]
        return turn

    def _replay(self, facts: Sequence[Fact]) -> list[Command]:
        run, steps = self.run, self.steps
        run.replaying = True
        for fact in facts:
            run.apply(fact)
        self._requests.update(f.request for f in facts if f.request is not None)
        run.take_state()  # it is on disk, as are the facts that brought it
        run.replaying = False
        run.expect(steps.restore({f.number for f in facts}), steps.issued)
        for step in steps.written():
            if isinstance(step, StartActivity):
                with contextlib.suppress(DescriptorError):  # it has its row already
                    steps.route(step, self.plan)
        return list(steps.new())

    # --- what arrives ------------------------------------------------------------------------

    def begin_reading(self) -> set[int]:
        """The inbox is about to be read: what cannot come back from that, to be passed to `read`.

        A row whose commit is answered while the inbox is being read may still be in what that
        finds; so rows stay known until a reading has begun after their commit.
        """
        return set(self._consumed)

    def read(self, gone: set[int], arrivals: Sequence[Arrival]) -> None:
        """Note what a reading of the inbox found, each row once however often it is read."""
        self.was_read = True
        for arrival in arrivals:
            if arrival.id not in self._seen:
                self._seen.add(arrival.id)
                self._arrived.append(Arrived(arrival.fact, inbox=arrival.id))
        self._seen -= gone
        self._consumed -= gone

    def timer_fired(self, number: int, due: float) -> None:
        """The timer of an open step is due."""
        self._arrived.append(Arrived(Fact(FactKind.TIMER, due, number, "timer")))

    def attempt_ended(
        self, attempt: Attempt, outcome: Outcome, message: int | None, now: float
    ) -> None:
        """An attempt that ran here has ended, with a result or without a row (`message`)."""
        failure = outcome.failure
        step_failure = failed = None
        if failure is not None:
            delay = attempt.delay_after(failure, now)
            reports.attempt_failed(attempt, failure, delay, now)
            if delay is not None:
                self._retries.append(Retry(attempt, failure, delay))
                return
            step_failure = step_failed("activity", attempt.name, attempt.attempt, failure)
            failed = replace(self._intent(attempt), failure=failure, dead=True)
        fact = Fact(
            FactKind.ACTIVITY, now, attempt.number, attempt.name, outcome.data, step_failure,
            attempt.input,
        )  # fmt: skip
        self.steps.messages.pop(attempt.number, None)
        self._arrived.append(Arrived(fact, message=message, failed=failed))

    def take_outcomes(self) -> list[tuple[Attempt, Outcome]]:
        """The outcomes that were kept while a commit was in flight, and are not any more."""
        outcomes, self.outcomes = self.outcomes, []
        return outcomes

    def unsaved_results(self) -> list[Settlement]:
        """How attempts with rows ended that came here and are on disk nowhere."""
        rows = self.steps.messages
        found = [a.settlement(rows) for a in (*self._used, *self._arrived)]
        return [settlement for settlement in found if settlement is not None]

    @property
    def needs_rows(self) -> bool:
        """Whether something runs here, or has ended here, that has no row."""
        return bool(self.steps.unwritten or self._retries) or not self._is_saved

    # --- every turn --------------------------------------------------------------------------

    def take_turn(self, *, paused: bool = False) -> Turn:
        """Apply what has arrived, unless it is `paused`. Raises whatever `Run.apply` raises."""
        used = self._used = []
        commands: list[Command] = []
        while self._arrived and self.run.finished is None and not paused:
            arrived = self._arrived.popleft()
            if arrived.inbox is None and arrived.message is None:
                arrived.message = self.steps.messages.pop(arrived.fact.number, None)
            used.append(arrived)
            self.steps.unwritten.pop(arrived.fact.number, None)
            if not self._is_new(arrived.fact):
                continue
            fact = self._complete(arrived.fact)
            commands += self.run.apply(fact)
            self._carried.append(fact)
        if self.run.reached and not paused:
            commands += self.run.end_reached()
        return self._turn(used, commands, self._retried())

    def _is_new(self, fact: Fact) -> bool:
        """Whether it is to be recorded; else it is only deleted.

        An answer to a step that is no longer open is not, nor is a second copy of what the history
        has: the first was applied, and its row deleted, before the one sent again got here.
        """
        if fact.number:
            return fact.number in self.run.open
        if fact.request is None:
            return True
        known = fact.request in self._requests
        self._requests.add(fact.request)
        return not known

    def _complete(self, fact: Fact) -> Fact:
        """The same fact whichever path it took: not before the last, with the step's arguments."""
        if fact.input is None and isinstance(step := self.run.open.get(fact.number), _WITH_INPUT):
            fact = replace(fact, input=step.input)
        return fact if fact.at >= self.run.time else replace(fact, at=self.run.time)

    def _retried(self) -> list[Intent]:
        retries, self._retries = self._retries, []
        intents = []
        for r in retries:
            self.steps.unwritten.pop(r.attempt.number, None)
            if r.attempt.number in self.run.open:
                intent = self._intent(r.attempt)
                intents.append(replace(intent, failure=r.failure))
                intents.append(replace(intent, attempt=intent.attempt + 1, delay=r.delay))
        return intents

    def _intent(self, attempt: Attempt) -> Intent:
        """The row of an attempt that ran without one."""
        queue = attempt.options.task_queue or self.claimed.queue
        return Intent(
            attempt.number, attempt.name, queue, attempt.input, attempt.options, attempt.attempt,
            topic=attempt.topic,
        )  # fmt: skip

    # --- commits -----------------------------------------------------------------------------

    def _turn(self, used: list[Arrived], commands: list[Command], intents: list[Intent]) -> Turn:
        state = self.run.take_state()
        write, self._write = self._write, False
        draft = TurnDraft(self.run, self.steps, self.plan, self._slots, intents)
        draft.follow(commands, write=write)
        draft.intents += [a.failed for a in used if a.failed is not None and a.fact.number]
        if (
            not draft.is_empty or state != (None, None) or (used and self._carried)
            or any(a.inbox is not None or a.message is not None for a in used)
        ):  # fmt: skip
            draft.turn.commit = self._commit(draft, used, state)
        return draft.turn

    def _commit(
        self, draft: TurnDraft, used: list[Arrived], state: tuple[str | None, str | None]
    ) -> Commit:
        facts, self._carried = self._carried, []
        for aside in draft.aside:
            if (place := aside.revision - self.revision - 1) >= 0:
                facts[place] = replace(facts[place], failure=aside.failure)
        if (end := draft.finish) is not None:
            at, name = self.run.time, end.state
            facts.append(Fact(FactKind.FINISHED, at, name=name, data=end.data, failure=end.failure))
        version = None
        if facts:  # the first of them bears it in the history
            version, self._version = self._version, None
        return Commit(
            run_id=self.claimed.run_id, hold=self.claimed.hold, expected=self.revision,
            facts=tuple(facts), version=version, status=1 + len(self.run.open),
            issued=draft.issued, pending=draft.pending, cancelled=tuple(draft.cancelled),
            inbox=tuple(a.inbox for a in used if a.inbox is not None),
            settled=tuple(a.message for a in used if a.message is not None),
            intents=tuple(draft.intents), children=tuple(draft.children),
            graphs=tuple(draft.graphs), finish=draft.finish, aside=tuple(draft.aside),
            attributes=state[0], entity=state[1],
        )  # fmt: skip

    def commit_sent(self, commit: asyncio.Future[Committed]) -> None:
        """A commit is in flight."""
        self.commit = commit

    def commit_answered(self) -> None:
        """The commit in flight has been answered, or never will be."""
        self.commit = None

    def commit_passed(self, commit: Commit, messages: dict[int, int]) -> None:
        """The commit is on disk, and wrote these rows."""
        self.revision += len(commit.facts)
        self.steps.commit_passed(commit, messages)
        self._consumed.update(commit.inbox)
        self._used = []


def _begun(python: str, claimed: ClaimedRun) -> str:
    """The data of the first fact of a run, as JSON text."""
    if claimed.seed is not None and not claimed.state:
        return f'{{"python": "{python}", "seed": "{claimed.seed}"}}'  # plain digits, of most runs
    seed = {} if claimed.seed is None else {"seed": claimed.seed}
    return json.dumps({"python": python, **claimed.state, **seed})
