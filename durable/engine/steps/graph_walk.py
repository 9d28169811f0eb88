"""One job's way through its graph within one step; pure.

A step follows transitions until every branch waits for something. What the way leads to is gathered
as `Changes`, which the place that commits writes at once. A long way is cut: what is left goes on
as messages, so that no job keeps an engine for itself.
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
from durable.engine.activities.measuring import Counted
from durable.engine.collation import addresses, semaphore
from durable.engine.collation.passes import Passes, outlived
from durable.engine.effects import (
    Addressed,
    Answer,
    ArmTimer,
    AwaitSignal,
    Dispatch,
    Effects,
    Escalate,
    Interrupt,
    Interruption,
    Reenter,
    Reply,
    StartJob,
    StartWorkflow,
)
from durable.engine.extension import Extension
from durable.engine.frozen import changed
from durable.engine.job import (
    COMPLETED,
    FAILED,
    INTERRUPTED,
    RUNNING,
    Instance,
    Job,
    Scene,
    began,
)
from durable.engine.transitions.adjacency import following, threshold
from durable.engine.transitions.checking import admitted, judged, unfinished
from durable.engine.transitions.keeping import State, begun, difference, kept
from durable.engine.transitions.mapping import settled, shared
from durable.engine.transitions.tracing import answered, entered
from durable.errors import ConfigurationError, DescriptorError, PayloadError, StateError
from durable.protocol.codes import FAILED as FAILED_CODE
from durable.protocol.graphs import Data, Fault
from durable.protocol.messages import MessageKind
from durable.telemetry.spans import Leg, tracing

VISITS_MAX = 200  # activities that one job may enter in one step
CYCLES_MAX = 10_000  # passes in a row without waiting for anything: no graph means that

UNDOABLE = (Dispatch, ArmTimer, AwaitSignal, Escalate)
"""What is of no use once the job has ended."""


@dataclass(frozen=True, slots=True)
class Left:
    """Where a cut way goes on: enters (aid, dad), or hands `data` to a cycle's ancestor."""

    aid: str
    dad: str
    cycles: int = 0
    data: Data | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a step changes of a job.

    Args:
        job: as it is now. instances: those that were changed.
        wanted: what its activities want written.
        disarmed: activities (aid, dad) that wait no longer.
        left: where to go on in another step.
        ended: whether the job ended in this step; `descend` is set when its children end with it.
        over: whether its callers are told now: it ended, or `persist` declared it done.
        abandons: whether it ended well although some activities still wait.
        emitted: the job as it was each time that an activity with `emit` had settled.
        state: what is to be written of its attributes, entity and markers; None for nothing.
        counted: of a job that begins, how it enters the statistics.
        outlived: passes of cycles that can be forgotten.
        legs: what is told to who follows traces; nothing where nobody does.
    """

    job: Job
    instances: tuple[Instance, ...] = ()
    wanted: tuple[Addressed, ...] = ()
    disarmed: tuple[tuple[str, str], ...] = ()
    left: tuple[Left, ...] = ()
    ended: bool = False
    descend: Interruption | None = None
    over: bool = False
    abandons: bool = False
    emitted: tuple[Job, ...] = ()
    state: State | None = None
    counted: Counted | None = None
    outlived: tuple[Passes, ...] = ()
    legs: tuple[Leg, ...] = ()


@dataclass
class Walk:
    """The way of one job in one step. Feed it with what arrived, then take `changes`."""

    plan: Plan
    job: Job
    instances: dict[tuple[str, str], Instance]
    now: float
    rng: Callable[[], float]
    _changed: set[tuple[str, str]] = field(default_factory=set)
    _wanted: list[Addressed] = field(default_factory=list)
    _disarmed: list[tuple[str, str]] = field(default_factory=list)
    _ahead: deque[Left] = field(default_factory=deque)
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

    def __post_init__(self) -> None:
        self._before = self.job
        self._was_running = self.job.state == RUNNING
        self._was_over = self.job.finished_at is not None
        self._legs = [] if tracing() else None

    def start(self) -> None:
        """Enter the trigger."""
        self.enter(Left(self.plan.trigger, addresses.ROOT))

    def create(self, extension: Extension) -> None:
        """Give a job what it has beside its data, before it begins."""
        trigger = self.plan.node(self.plan.trigger)
        if trigger.entity is not None or extension.search or extension.entity is not None:
            self.job = begun(self._scene(trigger, addresses.ROOT), extension)
        self._markers |= extension.marker

    def put_off(self, seconds: float) -> None:
        """Have a pending job go after a while, unless it is resumed."""
        self._wanted.append(Addressed(self.plan.trigger, addresses.ROOT, ArmTimer(seconds)))

    def resume(self) -> None:
        """Have a pending job begin."""
        self.job = changed(self.job, state=RUNNING, status=1)
        self._was_running = True
        self._disarmed.append((self.plan.trigger, addresses.ROOT))
        self.start()

    def enter(self, left: Left) -> None:
        """Enter an activity, or go on where an earlier step was cut."""
        self._ahead.append(left)
        self._go()

    def takes(self, aid: str, dad: str) -> bool:
        """Whether the job runs and the activity still takes answers."""
        instance = self.instances.get((dad, aid))
        return self.job.state == RUNNING and instance is not None and instance.open

    def reply(self, aid: str, dad: str, reply: Reply) -> None:
        """Give an activity what arrived for it; nothing happens when it takes no answers."""
        if self.takes(aid, dad):
            scene = self._scene(self.plan.node(aid), dad)
            self._guarded(
                scene, lambda: self._apply(scene, HANDLERS[scene.node.kind].leg2(scene, reply))
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
        """All that happened."""
        ended = self._was_running and self.job.state != RUNNING
        wanted = [w for w in self._wanted if not (ended and self._is_void(w))]
        return Changes(
            self.job,
            tuple(self.instances[key] for key in sorted(self._changed)),
            tuple(wanted),
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

    @staticmethod
    def _is_void(addressed: Addressed) -> bool:
        wanted = addressed.wanted
        starts = isinstance(wanted, (StartJob, StartWorkflow)) and wanted.awaited
        return isinstance(wanted, UNDOABLE) or starts

    def _go(self) -> None:
        while self._ahead and self._visits < VISITS_MAX and self.job.state == RUNNING:
            self._visits += 1
            left = self._ahead.popleft()
            scene = self._scene(self.plan.node(left.aid), left.dad)
            self._guarded(scene, partial(self._step_into, scene, left))

    def _scene(self, node: Node, dad: str) -> Scene:
        return Scene(self.plan, self.job, node, dad, self._find, self.now, self.rng)

    def _find(self, node: Node, dad: str) -> Instance | None:
        at, found = self._place(node, dad)
        if found is None and node.id == self.plan.trigger:
            return began(self.job, node.id, at)
        return found

    def _place(self, node: Node, dad: str) -> tuple[str, Instance | None]:
        """Where on the way to `dad` an activity was entered, or would have been."""
        at, here = dad, addresses.depth(dad)
        for depth in node.depths:
            if depth <= here:
                at = addresses.at_depth(dad, depth)
                if (found := self.instances.get((at, node.id))) is not None:
                    return at, found
        return at, None

    def _guarded(self, scene: Scene, action: Callable[[], None]) -> None:
        """A mapping that cannot be evaluated is the job's failure, and says where it stands."""
        try:
            action()
        except (DescriptorError, ConfigurationError, PayloadError, StateError) as error:
            self.fail(
                Fault(
                    FAILED_CODE,
                    f"activity {scene.node.id!r} of graph {self.plan.subscribes!r}: {error}",
                )
            )

    def _step_into(self, scene: Scene, left: Left) -> None:
        if left.data is None:
            self._open(scene, left.cycles)
        else:
            self._reopen(scene, left)

    def _open(self, scene: Scene, cycles: int) -> None:
        if scene.node.kind is not Kind.TRIGGER and self.job.status <= threshold(scene):
            self._abandons = True
            self._complete()
            return
        effects = admitted(scene, HANDLERS[scene.node.kind].leg1(scene))
        instance = Instance(scene.node.id, scene.dad, input=effects.input, opened_at=self.now)
        self._put(changed(instance, open=effects.answer is None))
        if self._legs is not None and effects.answer is None:
            self._legs.append(entered(scene))
        self._apply(scene, effects, cycles)

    def _reopen(self, scene: Scene, left: Left) -> None:
        if left.cycles > CYCLES_MAX:
            raise DescriptorError(
                f"it was entered again {CYCLES_MAX} times in a row without waiting for anything"
            )
        ledger = self.instances.get((scene.dad, scene.node.id))
        gone = ledger and outlived(
            self.plan, scene.node, scene.dad, ledger.replies, self.job.status
        )
        if gone:
            self._outlived.append(gone)
        reply = Reply(MessageKind.CYCLE, left.data or {})
        self._apply(scene, HANDLERS[scene.node.kind].leg2(scene, reply), left.cycles)

    def _apply(self, scene: Scene, effects: Effects, cycles: int = 0) -> None:
        interruption = None
        for wanted in effects.wanted:
            if isinstance(wanted, Reenter):
                self._ahead.append(self._ancestor(scene, wanted, cycles + 1))
            elif isinstance(wanted, Interrupt) and wanted.target is None:
                interruption = wanted.how
            else:
                self._wanted.append(Addressed(scene.node.id, scene.dad, wanted))
        if effects.disarm:
            self._disarmed.append((scene.node.id, scene.dad))
        if effects.answer is not None:
            self._answer(scene, effects.answer, cycles, interruption)

    def _ancestor(self, scene: Scene, wanted: Reenter, cycles: int) -> Left:
        at, _ = self._place(self.plan.node(wanted.ancestor), scene.dad)
        dad = addresses.leg1(at)
        return Left(wanted.ancestor, dad, cycles, wanted.data)

    def _answer(
        self, scene: Scene, answer: Answer, cycles: int, interruption: Interruption | None
    ) -> None:
        node = scene.node
        ledger = self.instances.get((scene.dad, node.id)) or Instance(
            node.id, scene.dad, opened_at=self.now
        )
        scene = changed(scene, dad=addresses.answer(scene.dad, ledger.replies), job=self.job)
        self._count(ledger, answer)
        answer, instance = judged(scene, answer, settled(scene, answer))
        self._put(changed(instance, open=instance.open if instance.dad == ledger.dad else False))
        self.job = changed(self.job, data=shared(scene))
        self._keep(scene, answer)
        if self._legs is not None:
            self._legs.append(answered(changed(scene, job=self.job), answer, ledger))
        if interruption is not None:
            self.interrupt(interruption)
            return
        now = changed(scene, job=self.job)
        after = following(now, answer)
        if after.fatal and answer.error is not None:
            self.fail(answer.error)
            return
        emits, persists = truthy(now.value(scene.node.emit)), truthy(now.value(scene.node.persist))
        self._advance(now, after.children, answer, cycles)
        if self.job.state == RUNNING:
            self._announce(emits=emits, persists=persists)

    def _keep(self, scene: Scene, answer: Answer) -> None:
        """What the job keeps of an answer beside its data."""
        if scene.node.wildcards or scene.node.state is not None or answer.state:
            self.job, markers = kept(changed(scene, job=self.job), answer)
            self._markers |= markers

    def _announce(self, *, emits: bool, persists: bool) -> None:
        """Have others hear of the job before it has ended, or as if it had; the latter once."""
        if persists and self.job.finished_at is None:
            if (fault := unfinished(self.plan, self.job)) is not None:
                self.fail(fault)
                return
            self.job = changed(self.job, finished_at=self.now)
        elif emits and self.job.finished_at is None:
            self._emitted.append(self.job)

    def _count(self, ledger: Instance, answer: Answer) -> None:
        """One more answer came; a cycle's leaves an activity that is still open as it is."""
        stays = answer.stays_open or (ledger.open and not answer.remapped)
        self._put(changed(ledger, replies=ledger.replies + 1, open=stays))

    def _advance(
        self, scene: Scene, children: tuple[str, ...], answer: Answer, cycles: int
    ) -> None:
        status = semaphore.after_answer(
            self.job.status, len(children), stays_open=answer.stays_open
        )
        self.job = changed(self.job, status=status)
        for child in children:
            way = self.plan.node(child).ways.get(scene.node.id, 0)
            self._ahead.append(Left(child, addresses.below(scene.dad, way), cycles))
        if status <= self._enough(scene, answer):
            self._abandons = status > 0
            self._complete(status)

    @staticmethod
    def _enough(scene: Scene, answer: Answer) -> int:
        """With how many open branches, or fewer, the job is done after this answer."""
        if answer.stays_open or scene.node.kind is Kind.TRIGGER:
            return 0
        return threshold(scene)

    def _complete(self, status: int = 0) -> None:
        """End the job well, unless its output is not what its graph has promised.

        `status` still tells how many branches were open when the last that counted had settled.
        """
        fault = None if self.job.finished_at is not None else unfinished(self.plan, self.job)
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

    def _put(self, instance: Instance) -> None:
        key = (instance.dad, instance.aid)
        self.instances[key] = instance
        self._changed.add(key)
