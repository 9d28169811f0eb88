"""The open steps of a run in memory: which run here, which have rows, and what limits them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from durable.descriptor.command_plan import CommandPlan, Routed
from durable.protocol.commands import (
    StartActivity,
    StartGraph,
    StartTimer,
    Step,
    kind_of,
)
from durable.protocol.commits import Commit, GraphStep
from durable.replay.mismatch import ExpectedStep
from durable.replay.run import Run
from durable.store.activities import Attempt
from durable.store.runs import ClaimedRun
from durable.worker.local_slots import LocalSlots

LOCAL_STEPS_MAX = 100  # then one step takes the queue path, so that a long run lets others in


class OpenSteps:
    """The open steps of one run.

    Attributes:
        queue: the run's task queue.
        issued: the highest number of a step that is written down.
        unwritten: open activity steps that run here and are not written down, by number.
        messages: the rows of open activity steps that run here, by number.
        limits: of open steps with rows: when each option's time is over, in Unix seconds.
    """

    def __init__(self, run: Run, claimed: ClaimedRun) -> None:
        self.queue = claimed.queue
        self.issued = claimed.issued
        self.unwritten: dict[int, StartActivity] = {}
        self.messages: dict[int, int] = {}
        self.limits: dict[int, dict[str, float]] = {
            p["number"]: p["limits"] for p in claimed.pending if "limits" in p
        }
        self._run = run
        self._claimed = claimed
        self._graphs: dict[int, StartGraph] = {}
        self._local = 0

    def written(self) -> list[Step]:
        """The open steps that are written down."""
        return [s for n, s in self._run.open.items() if n <= self.issued]

    def new(self) -> list[Step]:
        """The open steps that are not written down."""
        return [s for n, s in self._run.open.items() if n > self.issued]

    @property
    def awaited_apps(self) -> set[str]:
        """The apps of the graphs that the run awaits."""
        return {step.app for step in self._graphs.values()}

    def message_of(self, attempt: Attempt) -> int | None:
        """The row of an attempt that ran here, if it has one."""
        return attempt.id if attempt.id is not None else self.messages.get(attempt.number)

    def next_due(self) -> float | None:
        """When the next timer or limit is due; None without one."""
        timers = [s.due for s in self._run.open.values() if isinstance(s, StartTimer)]
        limits = [min(at.values()) for n, at in self.limits.items() if n in self._run.open]
        return min(timers + limits, default=None)

    def restore(self, settled: set[int]) -> list[ExpectedStep]:
        """After a replay: take up the graphs that the run awaits; the steps that it must have open.

        `settled` are the steps that its history has settled.
        """
        for pending in self._claimed.pending:
            step = self._run.open.get(pending["number"])
            if isinstance(step, StartGraph):  # of the app in which it was begun
                self._run.carry_out(replace(step, app=pending["app"]))
        self._graphs.update((s.number, s) for s in self.written() if isinstance(s, StartGraph))
        return [
            ExpectedStep(p["number"], p["kind"], p["name"])
            for p in self._claimed.pending
            if p["number"] not in settled
        ]

    def reserve(self, command: StartActivity, slots: LocalSlots) -> bool:
        """Reserve a slot for a step that may run here; False: it takes the queue path."""
        if self._local >= LOCAL_STEPS_MAX:
            self._local = 0
            return False
        if not slots.reserve(command, self.queue):
            return False
        self._local += 1
        return True

    def route(self, command: Routed, plan: CommandPlan) -> Routed:
        """The command as the descriptor has it carried out."""
        routed = plan.route(command)
        if routed is not command and command.number in self._run.open:
            self._run.carry_out(routed)
        return routed

    def limit(self, step: Step) -> list[tuple[float, int]]:
        """Note when a step that is written down must have started and ended; the times."""
        if not isinstance(step, StartActivity):
            return []
        limits = {
            option: self._run.time + seconds
            for option in ("schedule_to_start", "schedule_to_close")
            if (seconds := getattr(step.options, option)) is not None
        }
        if limits:
            self.limits[step.number] = limits
        return [(at, step.number) for at in limits.values()]

    def begin_graph(self, step: Step) -> list[GraphStep]:
        """What a commit that writes the step down has to start; nothing for other steps."""
        if not isinstance(step, StartGraph):
            return []
        self._graphs[step.number] = step
        return [GraphStep(step.number, step.app, step.name, step.input)]

    def give_up_graphs(self, numbers: Iterable[int]) -> list[GraphStep]:
        """The graphs among these steps that the run stops awaiting, for a commit."""
        steps = [step for n in numbers if (step := self._graphs.pop(n, None)) is not None]
        return [GraphStep(step.number, step.app, step.name) for step in steps]

    def pending(self, steps: Sequence[Step]) -> str:
        """The steps as the job row shows them, as JSON text."""
        return json.dumps([self._shown(step) for step in steps], separators=(",", ":"))

    def _shown(self, step: Step) -> dict[str, object]:
        shown: dict[str, object] = {
            "number": step.number, "kind": kind_of(step), "name": step.name,
            "due": step.due if isinstance(step, StartTimer) else None,
        }  # fmt: skip
        if isinstance(step, StartGraph):
            shown["app"] = step.app
        limits = self.limits.get(step.number)
        return {**shown, "limits": limits} if limits else shown

    def commit_passed(self, commit: Commit, messages: dict[int, int]) -> None:
        """A commit is on disk, which wrote these rows."""
        if commit.issued > self.issued:
            self.issued = commit.issued
            for number in [n for n in self.unwritten if n <= self.issued]:
                del self.unwritten[number]
        if messages:
            held = {i.number for i in commit.intents if i.held}
            self.messages.update((n, m) for n, m in messages.items() if n in held)
        if self.limits or self._graphs:
            for fact in commit.facts:
                self.limits.pop(fact.number, None)
                self._graphs.pop(fact.number, None)
