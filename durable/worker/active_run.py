"""A run in memory: what it has committed, what has arrived, and what its next turn would write.

A turn folds what has arrived, one fact at a time, and says in one `Commit` what that brought.
Nothing here waits, and nothing is sent: `hosting` does that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from durable.descriptor.command_plan import CommandPlan, Routed
from durable.errors import DescriptorError
from durable.protocol.commands import (
    CancelStep,
    Command,
    Finish,
    PutAside,
    StartActivity,
    StartChild,
    StartGraph,
    StartTimer,
    Step,
    kind_of,
)
from durable.protocol.commits import Arrival, ChildStart, Commit, Committed, Intent
from durable.protocol.facts import Fact, FactKind
from durable.replay.mismatch import ExpectedStep
from durable.replay.run import Run
from durable.store.activities import Attempt
from durable.store.runs import ClaimedRun
from durable.worker.open_graphs import OpenGraphs
from durable.worker.turns import Arrived, Draft, Retry, Slots, Turn

_WITH_INPUT = (StartActivity, StartChild, StartGraph)
FAST_STEPS_MAX = 100  # then one step goes over the stream, so that a long run lets others in


class ActiveRun:
    """One run that this member holds.

    Args:
        claimed: its job row.
        run: its coroutine, not yet fed.
        slots: where a slot is taken for an attempt that can start in this process.
        plan: how its commands are carried out.
    """

    def __init__(
        self,
        claimed: ClaimedRun,
        run: Run,
        *,
        slots: Slots,
        plan: CommandPlan,
    ) -> None:
        self.claimed = claimed
        self.run = run
        self.plan = plan
        self.revision = claimed.revision
        self.issued = claimed.issued
        self.arrived: deque[Arrived] = deque()
        self.retries: list[Retry] = []
        self.seen: set[int] = set()
        self.commit: asyncio.Future[Committed] | None = None  # the one in flight
        self.gone = False
        self.flush = False
        self.woken = False
        self.outcomes: list[tuple[Attempt, Any]] = []
        self.deferred: dict[int, StartActivity] = {}  # open, running here, and not written down
        self.messages: dict[int, int] = {}  # own-reserved rows of open steps
        self._carried: list[Fact] = []  # applied, to be written with the next commit
        self._used: list[Arrived] = []  # folded, and not yet on disk
        self._consumed: set[int] = set()  # inbox rows that are facts on disk now
        self._requests: set[str] = set()  # those that are facts
        self.limits: dict[
            int, dict[str, float]
        ] = {  # of open steps with rows: option, Unix seconds
            p["number"]: p["limits"] for p in claimed.pending if "limits" in p
        }
        self._graphs = OpenGraphs()
        self._slots = slots
        # Its pin follows the code: on another graph than that of its last commit, it is written.
        self._version = None if plan.version == claimed.version else plan.version
        self._fast = 0

    @property
    def committing(self) -> bool:
        """Whether a commit is in flight."""
        return self.commit is not None

    @property
    def idle(self) -> bool:
        """Whether it could be given back now: nothing on its way, nothing running for it here."""
        return not (
            self.committing
            or self.arrived
            or self.retries
            or self.outcomes
            or self.deferred
            or self.messages
        )

    @property
    def settled(self) -> bool:
        """Whether all that it has done is on disk, or comes out the same from a fresh start."""
        return not self.committing and all(f.kind is FactKind.STARTED for f in self._carried)

    def has(self, message: int) -> bool:
        """Whether a row is of an attempt which runs here, or whose result waits for its turn."""
        return message in self.messages.values() or any(a.message == message for a in self.arrived)

    def unwritten(self, issued: int) -> list[int]:
        """Open steps up to `issued` that have neither a row nor, here, a result."""
        answered = {a.fact.number for a in self.arrived} | {a.number for a, _ in self.outcomes}
        return [n for n in self.run.open if self.issued < n <= issued and n not in answered]

    def next_due(self) -> float | None:
        """When its next timer is due; None without one."""
        timers = [s.due for s in self.run.open.values() if isinstance(s, StartTimer)]
        limits = [min(at.values()) for n, at in self.limits.items() if n in self.run.open]
        return min(timers + limits, default=None)

    # --- the first turn ----------------------------------------------------------------------

    def replay(self, facts: Sequence[Fact], python: str) -> Turn:
        """Bring the coroutine to where its history ends, or begin it; what is to be started then.

        Raises whatever `Run.apply` raises: the code does not fit the history.
        """
        self.run.replaying = True
        if facts:
            for fact in facts:
                self.run.apply(fact)
            self._requests.update(f.request for f in facts if f.request is not None)
            self.run.take_state()  # it is on disk, as what brought it
            self.run.replaying = False
            settled = {f.number for f in facts}
            expected = [
                ExpectedStep(p["number"], p["kind"], p["name"])
                for p in self.claimed.pending
                if p["number"] not in settled
            ]
            self.run.expect(expected, self.issued)
            for step in tuple(self.run.open.values()):
                if step.number <= self.issued and isinstance(step, StartActivity):
                    with contextlib.suppress(DescriptorError):  # it has its row, which says all
                        self._route(step)
            commands: list[Command] = [s for n, s in self.run.open.items() if n > self.issued]
            self._restore_graphs()
        else:
            self.run.replaying = False
            started = Fact(
                FactKind.STARTED, self.claimed.started_at, name=self.claimed.workflow,
                data=_begun(python, self.claimed), input=self.claimed.input,
            )  # fmt: skip
            commands = self.run.apply(started)
            self._carried.append(started)
        turn = self._turn([], commands, [])
        turn.timers = [s for s in self.run.open.values() if isinstance(s, StartTimer)]
        turn.limits = [(at, n) for n, limits in self.limits.items() for at in limits.values()]
        return turn

    def _restore_graphs(self) -> None:
        """Have the graphs that are written down be those of the apps in which they were begun."""
        for pending in self.claimed.pending:
            step = self.run.open.get(pending["number"])
            if isinstance(step, StartGraph):
                self.run.carry_out(replace(step, app=pending["app"]))
        self._graphs.found(s for n, s in self.run.open.items() if n <= self.issued)

    # --- every turn --------------------------------------------------------------------------

    def arrive(self, arrivals: Sequence[Arrival]) -> None:
        """Note rows of the inbox, each once however often they are read."""
        for arrival in arrivals:
            if arrival.id not in self.seen:
                self.seen.add(arrival.id)
                self.arrived.append(Arrived(arrival.fact, inbox=arrival.id))

    def reading(self) -> set[int]:
        """The inbox is about to be read: what cannot come back from that, to be passed to `read`.

        A row whose commit is answered while the inbox is being read may still be in what that
        finds; so rows stay known until a reading has begun after their commit.
        """
        return set(self._consumed)

    def read(self, gone: set[int], arrivals: Sequence[Arrival]) -> None:
        """Take what a reading found."""
        self.arrive(arrivals)
        self.seen -= gone
        self._consumed -= gone

    def in_hand(self) -> list[tuple[int, str | None]]:
        """Results of attempts (message, data) that came here and are on disk nowhere."""
        return [
            (a.message, a.fact.data)
            for a in (*self._used, *self.arrived)
            if a.message is not None and a.fact.failure is None
        ]

    def take_turn(self) -> Turn:
        """Fold what has arrived. Raises whatever `Run.apply` raises."""
        used = self._used = []
        commands: list[Command] = []
        while self.arrived and self.run.finished is None:
            arrived = self.arrived.popleft()
            if arrived.inbox is None and arrived.message is None:
                arrived.message = self.messages.pop(arrived.fact.number, None)
            used.append(arrived)
            self.deferred.pop(arrived.fact.number, None)
            if not self._wanted(arrived.fact):
                continue
            fact = self._complete(arrived.fact)
            commands += self.run.apply(fact)
            self._carried.append(fact)
        if self.run.reached:
            commands += self.run.end_reached()
        return self._turn(used, commands, self._retried())

    def _wanted(self, fact: Fact) -> bool:
        """Whether it is to be recorded; else it is only deleted.

        An answer to a step that is no longer open is not, nor is a second copy of what the history
        has: the first was folded, and its row deleted, before the one sent again got here.
        """
        if fact.number:
            return fact.number in self.run.open
        if fact.request is None:
            return True
        known = fact.request in self._requests
        self._requests.add(fact.request)
        return not known

    def _complete(self, fact: Fact) -> Fact:
        """The same fact whichever path it came: not before the last, with the step's arguments."""
        if fact.input is None and isinstance(step := self.run.open.get(fact.number), _WITH_INPUT):
            fact = replace(fact, input=step.input)
        if fact.at >= self.run.time:
            return fact
        return replace(fact, at=self.run.time)

    def _retried(self) -> list[Intent]:
        retries, self.retries = self.retries, []
        intents = []
        for r in retries:
            self.deferred.pop(r.number, None)
            if r.number not in self.run.open:
                continue
            a = r.attempt
            queue = a.options.task_queue or self.claimed.queue
            failed = Intent(
                a.number, a.name, queue, a.input, a.options, a.attempt, failure=r.failure,
                topic=a.topic,
            )  # fmt: skip
            again = replace(failed, attempt=a.attempt + 1, delay=r.delay, failure=None)
            intents += [failed, again]
        return intents

    def _turn(self, used: list[Arrived], commands: list[Command], intents: list[Intent]) -> Turn:
        retried = {i.number for i in intents}
        draft = Draft(intents, self.issued, write=self.flush or bool(intents))
        draft.state = self.run.take_state()
        self.flush = False
        turn = draft.turn
        try:
            for command in commands:
                self._follow(command, draft)
        except DescriptorError:
            self._slots.release(turn.here)
            raise
        if draft.finish is not None:
            self._slots.release(turn.here)
            turn.here = []
            turn.stopped += list(self.deferred)
            self.deferred.clear()
            draft.graphs += self._graphs.given_up(list(self.run.open))
        if draft.write and draft.finish is None:
            self._write_open(draft, retried)
        else:
            self.deferred.update((c.number, c) for c in turn.here)
            if draft.cancelled:
                written = (s for s in self.run.open.values() if s.number <= self.issued)
                draft.pending = self._pending(written)
        draft.intents += [a.failed for a in used if a.failed is not None and a.fact.number]
        inbox = tuple(a.inbox for a in used if a.inbox is not None)
        settled = tuple(a.message for a in used if a.message is not None)
        if draft.says_something or inbox or settled or (used and self._carried):
            turn.commit = self._commit(
                issued=draft.issued, pending=draft.pending, inbox=inbox, settled=settled,
                cancelled=tuple(draft.cancelled), intents=tuple(draft.intents),
                children=tuple(draft.children), finish=draft.finish, attributes=draft.state[0],
                entity=draft.state[1], aside=tuple(draft.aside),
                graphs=tuple(draft.graphs),
            )  # fmt: skip
        return turn

    def _follow(self, command: Command, draft: Draft) -> None:
        """Take one command of the run into the turn."""
        if isinstance(command, StartActivity):
            if command.number not in self.run.open:
                return
            command = self._route(command)
            here = self._runs_here(command)
            if here:
                draft.turn.here.append(command)
            draft.write = draft.write or not here or not command.options.repeatable
        elif isinstance(command, StartTimer):
            draft.turn.timers.append(self._route(command))
        elif isinstance(command, (StartChild, StartGraph)):
            self._route(command)
            draft.write = True
        elif isinstance(command, CancelStep):
            self._cancel(command.number, draft.turn, draft.cancelled)
            draft.graphs += self._graphs.given_up([command.number])
        elif isinstance(command, PutAside):
            draft.aside.append(command)
        else:
            draft.finish = command

    def _route(self, command: Routed) -> Routed:
        """The command as the graph has it carried out."""
        routed = self.plan.route(command)
        if routed is not command and command.number in self.run.open:
            self.run.carry_out(routed)
        return routed

    def _write_open(self, draft: Draft, retried: set[int]) -> None:
        """Write down the open steps that are not yet; those of `retried` have their intents."""
        here_now = {c.number for c in draft.turn.here}
        draft.issued = self.run.issued
        for step in self.run.open.values():
            if step.number > self.issued and step.number not in retried:
                self._write(step, here_now, draft.intents, draft.children)
                draft.graphs += self._graphs.begun(step)
                draft.turn.limits += [(at, step.number) for at in self._limit(step).values()]
        draft.pending = self._pending(self.run.open.values())

    def _write(
        self, step: Step, here: set[int], intents: list[Intent], children: list[ChildStart]
    ) -> None:
        if isinstance(step, StartActivity):
            held = step.number in here or step.number in self.deferred
            queue = step.options.task_queue or self.claimed.queue
            intents.append(
                Intent(
                    step.number,
                    step.name,
                    queue,
                    step.input,
                    step.options,
                    held=held,
                    topic=step.topic,
                )
            )
        elif isinstance(step, StartChild):
            queue = step.options.task_queue or self.claimed.queue
            children.append(
                ChildStart(
                    step.number, step.name, step.id, queue, step.input, step.options.priority
                )
            )

    def _limit(self, step: Step) -> dict[str, float]:
        """Until when a step must have been taken by a worker, and must have ended."""
        limits = {}
        if isinstance(step, StartActivity):
            options = step.options
            if options.schedule_to_start is not None:
                limits["schedule_to_start"] = self.run.time + options.schedule_to_start
            if options.schedule_to_close is not None:
                limits["schedule_to_close"] = self.run.time + options.schedule_to_close
        if limits:
            self.limits[step.number] = limits
        return limits

    def _pending(self, steps: Iterable[Step]) -> str:
        return json.dumps([self._shown(step) for step in steps], separators=(",", ":"))

    def _shown(self, step: Step) -> dict[str, object]:
        due = getattr(step, "due", None)
        shown: dict[str, object] = {
            "number": step.number, "kind": kind_of(step), "name": step.name, "due": due,
        }  # fmt: skip
        if isinstance(step, StartGraph):
            shown["app"] = step.app
        limits = self.limits.get(step.number)
        return {**shown, "limits": limits} if limits else shown

    def _cancel(self, number: int, turn: Turn, cancelled: list[int]) -> None:
        if number in self.deferred:
            del self.deferred[number]
            turn.stopped.append(number)
        elif any(c.number == number for c in turn.here):
            self._slots.release([c for c in turn.here if c.number == number])
            turn.here = [c for c in turn.here if c.number != number]
        elif number <= self.issued:
            cancelled.append(number)
            if self.messages.pop(number, None) is not None:
                turn.stopped.append(number)

    def _runs_here(self, command: StartActivity) -> bool:
        if self._fast >= FAST_STEPS_MAX:
            self._fast = 0
            return False
        if not self._slots.reserve(command, self.claimed.queue):
            return False
        self._fast += 1
        return True

    def _commit(self, **fields: Any) -> Commit:
        facts = list(self._carried)
        for aside in fields["aside"]:
            if (place := aside.revision - self.revision - 1) >= 0:
                facts[place] = replace(facts[place], failure=aside.failure)
        finish: Finish | None = fields["finish"]
        if finish is not None:
            at = self.run.time
            facts.append(
                Fact(
                    FactKind.FINISHED,
                    at,
                    name=finish.state,
                    data=finish.data,
                    failure=finish.failure,
                )
            )
        self._carried = []
        version = self._version if facts else None  # its first fact says so in the history
        if version is not None:
            self._version = None
        return Commit(
            run_id=self.claimed.run_id, expected=self.revision, facts=tuple(facts), version=version,
            status=1 + len(self.run.open), hold=self.claimed.hold, **fields,
        )  # fmt: skip

    def passed(self, commit: Commit, messages: dict[int, int]) -> None:
        """The commit is on disk."""
        self.revision += len(commit.facts)
        self.issued = max(self.issued, commit.issued)
        for number in [n for n in self.deferred if n <= self.issued]:
            del self.deferred[number]
        held = {i.number for i in commit.intents if i.held}
        self.messages.update((n, m) for n, m in messages.items() if n in held)
        for fact in commit.facts:
            self.limits.pop(fact.number, None)
            self._graphs.settled(fact.number)
        self._consumed.update(commit.inbox)
        self._used = []


def _begun(python: str, claimed: ClaimedRun) -> str:
    """What the first fact of a run says of it, as JSON text."""
    if claimed.seed is not None and not claimed.state:
        return f'{{"python": "{python}", "seed": "{claimed.seed}"}}'  # plain digits, of most runs
    seed = {} if claimed.seed is None else {"seed": claimed.seed}
    return json.dumps({"python": python, **claimed.state, **seed})
