"""One job's walk through its graph within one step; pure.

A step follows transitions until every branch waits for something. The walk collects the results as
`Changes`, which the committing code writes at once. A long walk is cut: the rest continues in
messages, so that engines are shared by all jobs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from durable.descriptor.expressions.values import truthy
from durable.descriptor.plan import Kind, Node, Plan
from durable.engine.activities.handlers import HANDLERS
from durable.engine.activities.measurements import JobMeasures
from durable.engine.collation import addresses, semaphore
from durable.engine.collation.passes import Passes, outlived
from durable.engine.copies import changed
from durable.engine.effects import (
    ActivityEffect,
    Answer,
    ArmTimer,
    AwaitSignal,
    Dispatch,
    Effect,
    Interrupt,
    Interruption,
    LegResult,
    OpenEscalation,
    Reenter,
    Reply,
    StartJob,
    StartWorkflow,
)
from durable.engine.extension import Extension
from durable.engine.job import (
    COMPLETED,
    FAILED,
    INTERRUPTED,
    RUNNING,
    ActivityContext,
    Instance,
    Job,
    began,
)
from durable.engine.steps.recorded_instances import RecordedInstances
from durable.engine.transitions.adjacency import successors, threshold
from durable.engine.transitions.job_state import StateChange, created_job, difference, updated_state
from durable.engine.transitions.mapping import settled, shared
from durable.engine.transitions.trace_legs import answered, entered
from durable.engine.transitions.validation import checked_answer, checked_entry, output_fault
from durable.errors import ConfigurationError, DescriptorError, PayloadError, StateError
from durable.protocol.codes import FAILED as FAILED_CODE
from durable.protocol.graphs import Data, Fault
from durable.protocol.messages import MessageKind
from durable.telemetry.spans import Leg, tracing

VISITS_MAX = 200  # activities that one job may enter in one step
CYCLES_MAX = 10_000  # passes in a row without a wait: a mistake in the graph

WAITS = (Dispatch, ArmTimer, AwaitSignal, OpenEscalation)
"""Effects by which an activity waits; a job that has ended needs none of them."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """Where a walk that was cut continues: at (aid, dad), or with `data` at a cycle's ancestor."""

    aid: str
    dad: str
    cycles: int = 0
    data: Data | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a step changes of a job.

    Args:
        job: its new state. instances: the changed ones.
        effects: the effects of its activities.
        disarmed: activities (aid, dad) that have stopped waiting.
        continuations: where another step continues.
        ended: whether the job ended in this step; `descend` is set when its children end with it.
        over: whether its callers are notified now: it ended, or `persist` declared it done.
        abandons: whether it completed while some activities still wait.
        emitted: the job each time an activity with `emit` settled.
        state: changes to its attributes, entity and markers; None when they are unchanged.
        counted: how a new job enters the statistics.
        outlived: passes of cycles that can be deleted.
        legs: the legs to trace; empty when tracing is off.
    """

    job: Job
    instances: tuple[Instance, ...] = ()
    effects: tuple[ActivityEffect, ...] = ()
    disarmed: tuple[tuple[str, str], ...] = ()
    continuations: tuple[Continuation, ...] = ()
    ended: bool = False
    descend: Interruption | None = None
    over: bool = False
    abandons: bool = False
    emitted: tuple[Job, ...] = ()
    state: StateChange | None = None
    counted: JobMeasures | None = None
    outlived: tuple[Passes, ...] = ()
    legs: tuple[Leg, ...] = ()


@dataclass
class Walk:
    """The walk of one job in one step. Give it what arrived, then read `changes`."""

    plan: Plan
    job: Job
    instances: dict[tuple[str, str], Instance]
    now: float
    rng: Callable[[], float]
    _effects: list[ActivityEffect] = field(default_factory=list)
    _disarmed: list[tuple[str, str]] = field(default_factory=list)
    _ahead: deque[Continuation] = field(default_factory=deque)
    _visits: int = 0
    _descend: Interruption | None = None
    _was_running: bool = True
    _was_over: bool = False
    _abandons: bool = False
    _emitted: list[Job] = field(default_factory=list)
    _markers: dict[str, Any] = field(default_factory=dict)
    _outlived: list[Passes] = field(default_factory=list)
    _legs: list[Leg] | None = None
    _before: Job = field(init=False)
    _recorded: RecordedInstances = field(init=False)

    def __post_init__(self) -> None:
        self._before = self.job
        self._recorded = RecordedInstances(self.instances)
        self._was_running = self.job.state == RUNNING
        self._was_over = self.job.finished_at is not None
        self._legs = [] if tracing() else None

    def start(self) -> None:
        """Enter the trigger."""
        self.enter(Continuation(self.plan.trigger, addresses.ROOT))

    def create(self, extension: Extension) -> None:
        """Add entity, attributes and markers to a job before it begins."""
        trigger = self.plan.node(self.plan.trigger)
        if trigger.entity is not None or extension.search or extension.entity is not None:
            self.job = created_job(self._context(trigger, addresses.ROOT), extension)
        self._markers |= extension.marker

    def put_off(self, seconds: float) -> None:
        """Have a pending job go after a while, unless it is resumed."""
        self._effects.append(ActivityEffect(self.plan.trigger, addresses.ROOT, ArmTimer(seconds)))

    def resume(self) -> None:
        """Begin a pending job."""
        self.job = changed(self.job, state=RUNNING, status=1)
        self._was_running = True
        self._disarmed.append((self.plan.trigger, addresses.ROOT))
        self.start()

    def enter(self, continuation: Continuation) -> None:
        """Enter an activity, or continue where an earlier step was cut."""
        self._ahead.append(continuation)
        self._go()

    def takes(self, aid: str, dad: str) -> bool:
        """Whether the job runs and the activity still accepts answers."""
        instance = self.instances.get((dad, aid))
        return self.job.state == RUNNING and instance is not None and instance.open

    def reply(self, aid: str, dad: str, reply: Reply) -> None:
        """Give a reply to an activity; one that has stopped accepting answers ignores it."""
        if self.takes(aid, dad):
            context = self._context(self.plan.node(aid), dad)
            self._guarded(
                context,
                lambda: self._apply(context, HANDLERS[context.node.kind].leg2(context, reply)),
            )
            self._go()

    def interrupt(self, how: Interruption) -> None:
        """End the job from outside."""
        if self.job.state != RUNNING:
            return
        job = self.job
        message = how.reason or f"job [{job.jid}] interrupted"
        error = Fault(how.code, message, job.jid, how.stack) if how.throws else None
        expire = {} if how.expire is None else {"expire": how.expire}
        self._end(
            INTERRUPTED, semaphore.after_interruption(job.status), error, {**job.metadata, **expire}
        )
        self._descend = how if how.descend else None

    def fail(self, error: Fault) -> None:
        """End the job with an error."""
        if self.job.state == RUNNING:
            self._end(FAILED, 0, replace(error, job_id=error.job_id or self.job.jid))

    def changes(self) -> Changes:
        """The changes of the whole walk."""
        ended = self._was_running and self.job.state != RUNNING
        effects = [w for w in self._effects if not (ended and _ends_with_job(w.effect))]
        return Changes(
            self.job,
            self._recorded.changed(),
            tuple(effects),
            tuple(self._disarmed) if self.job.state in (RUNNING, COMPLETED) else (),
            () if ended else tuple(self._ahead),
            ended,
            self._descend,
            self.job.finished_at is not None and not self._was_over,
            self._abandons,
            tuple(self._emitted),
            difference(self._before, self.job, self._markers),
            outlived=tuple(self._outlived),
            legs=tuple(self._legs or ()),
        )

    def _go(self) -> None:
        while self._ahead and self._visits < VISITS_MAX and self.job.state == RUNNING:
            self._visits += 1
            continuation = self._ahead.popleft()
            context = self._context(self.plan.node(continuation.aid), continuation.dad)
            self._guarded(context, partial(self._step_into, context, continuation))

    def _context(self, node: Node, dad: str) -> ActivityContext:
        return ActivityContext(self.plan, self.job, node, dad, self._find, self.now, self.rng)

    def _find(self, node: Node, dad: str) -> Instance | None:
        at, found = self._recorded.locate(node, dad)
        if found is None and node.id == self.plan.trigger:
            return began(self.job, node.id, at)
        return found

    def _guarded(self, context: ActivityContext, action: Callable[[], None]) -> None:
        """Fail the job when a mapping cannot be evaluated; the error names the activity."""
        try:
            action()
        except (DescriptorError, ConfigurationError, PayloadError, StateError) as error:
            self.fail(
                Fault(
                    FAILED_CODE,
                    f"activity {context.node.id!r} of graph {self.plan.subscribes!r}: {error}",
                )
            )

    def _step_into(self, context: ActivityContext, continuation: Continuation) -> None:
        if continuation.data is None:
            self._open(context, continuation.cycles)
        else:
            self._reopen(context, continuation)

    def _open(self, context: ActivityContext, cycles: int) -> None:
        if context.node.kind is not Kind.TRIGGER and self.job.status <= threshold(context):
            self._abandons = True
            self._complete()
            return
        result = checked_entry(context, HANDLERS[context.node.kind].leg1(context))
        instance = Instance(context.node.id, context.dad, input=result.input, opened_at=self.now)
        self._recorded.put(changed(instance, open=result.answer is None))
        if self._legs is not None and result.answer is None:
            self._legs.append(entered(context))
        self._apply(context, result, cycles)

    def _reopen(self, context: ActivityContext, continuation: Continuation) -> None:
        if continuation.cycles > CYCLES_MAX:
            raise DescriptorError(
                f"it was entered again {CYCLES_MAX} times in a row without waiting for anything"
            )
        ledger = self.instances.get((context.dad, context.node.id))
        gone = ledger and outlived(
            self.plan, context.node, context.dad, ledger.replies, self.job.status
        )
        if gone:
            self._outlived.append(gone)
        reply = Reply(MessageKind.CYCLE, continuation.data or {})
        self._apply(context, HANDLERS[context.node.kind].leg2(context, reply), continuation.cycles)

    def _apply(self, context: ActivityContext, result: LegResult, cycles: int = 0) -> None:
        interruption = None
        for effect in result.effects:
            if isinstance(effect, Reenter):
                self._ahead.append(self._ancestor(context, effect, cycles + 1))
            elif isinstance(effect, Interrupt) and effect.target is None:
                interruption = effect.how
            else:
                self._effects.append(ActivityEffect(context.node.id, context.dad, effect))
        if result.disarm:
            self._disarmed.append((context.node.id, context.dad))
        if result.answer is not None:
            self._answer(context, result.answer, cycles, interruption)

    def _ancestor(self, context: ActivityContext, effect: Reenter, cycles: int) -> Continuation:
        at, _ = self._recorded.locate(self.plan.node(effect.ancestor), context.dad)
        dad = addresses.leg1(at)
        return Continuation(effect.ancestor, dad, cycles, effect.data)

    def _answer(
        self,
        context: ActivityContext,
        answer: Answer,
        cycles: int,
        interruption: Interruption | None,
    ) -> None:
        node = context.node
        ledger = self.instances.get((context.dad, node.id)) or Instance(
            node.id, context.dad, opened_at=self.now
        )
        context = changed(context, dad=addresses.answer(context.dad, ledger.replies), job=self.job)
        self._count(ledger, answer)
        answer, instance = checked_answer(context, answer, settled(context, answer))
        self._recorded.put(
            changed(instance, open=instance.open if instance.dad == ledger.dad else False)
        )
        self.job = changed(self.job, data=shared(context))
        self._keep(context, answer)
        if self._legs is not None:
            self._legs.append(answered(changed(context, job=self.job), answer, ledger))
        if interruption is not None:
            self.interrupt(interruption)
            return
        now = changed(context, job=self.job)
        after = successors(now, answer)
        if after.fatal and answer.error is not None:
            self.fail(answer.error)
            return
        emits, persists = (
            truthy(now.value(context.node.emit)),
            truthy(now.value(context.node.persist)),
        )
        self._advance(now, after.children, answer, cycles)
        if self.job.state == RUNNING:
            self._announce(emits=emits, persists=persists)

    def _keep(self, context: ActivityContext, answer: Answer) -> None:
        """Store the attributes, entity and markers that an answer sets."""
        if context.node.wildcards or context.node.state is not None or answer.state:
            self.job, markers = updated_state(changed(context, job=self.job), answer)
            self._markers |= markers

    def _announce(self, *, emits: bool, persists: bool) -> None:
        """Publish an interim state, or declare a running job done; it is declared done once."""
        if persists and self.job.finished_at is None:
            if (fault := output_fault(self.plan, self.job)) is not None:
                self.fail(fault)
                return
            self.job = changed(self.job, finished_at=self.now)
        elif emits and self.job.finished_at is None:
            self._emitted.append(self.job)

    def _count(self, ledger: Instance, answer: Answer) -> None:
        """Count an answer; an answer from a cycle leaves an open activity open."""
        stays = answer.stays_open or (ledger.open and not answer.remapped)
        self._recorded.put(changed(ledger, replies=ledger.replies + 1, open=stays))

    def _advance(
        self, context: ActivityContext, children: tuple[str, ...], answer: Answer, cycles: int
    ) -> None:
        status = semaphore.after_answer(
            self.job.status, len(children), stays_open=answer.stays_open
        )
        self.job = changed(self.job, status=status)
        for child in children:
            way = self.plan.node(child).ways.get(context.node.id, 0)
            self._ahead.append(Continuation(child, addresses.below(context.dad, way), cycles))
        if status <= _open_branches_allowed(context, answer):
            self._abandons = status > 0
            self._complete(status)

    def _complete(self, status: int = 0) -> None:
        """Complete the job, or fail it when its output does not fit its schema.

        `status`: how many branches were still open when the deciding one settled.
        """
        fault = None if self.job.finished_at is not None else output_fault(self.plan, self.job)
        if fault is None:
            self._end(COMPLETED, status, None)
        else:
            self.fail(fault)

    def _end(
        self,
        state: str,
        status: int,
        error: Fault | None,
        metadata: dict[str, object] | None = None,
    ) -> None:
        self._ahead.clear()
        self.job = changed(
            self.job,
            state=state,
            status=status,
            error=error,
            finished_at=self.job.finished_at or self.now,
            metadata=self.job.metadata if metadata is None else metadata,
        )


def _ends_with_job(effect: Effect) -> bool:
    """Whether the end of the job cancels an effect: a wait, or the start of an awaited job."""
    return isinstance(effect, WAITS) or (
        isinstance(effect, (StartJob, StartWorkflow)) and effect.awaited
    )


def _open_branches_allowed(context: ActivityContext, answer: Answer) -> int:
    """How many branches may still be open when this answer completes the job."""
    if answer.stays_open or context.node.kind is Kind.TRIGGER:
        return 0
    return threshold(context)
