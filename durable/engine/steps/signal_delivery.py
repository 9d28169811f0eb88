"""Signals to a topic: delivered to a waiter, or stored as early signals until one comes.

A rule may compare the id of a job, or input that stays the same for the job's lifetime. Its signals
belong to that job alone; a later job of the same id gets its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from durable.descriptor.expressions.values import UNDEFINED
from durable.descriptor.plan import HookKey, Plan
from durable.engine.activities.hook import key_of
from durable.engine.collation import addresses
from durable.engine.job import PENDING, RUNNING, ActivityContext, Job, decode
from durable.engine.steps.graph_routing import Rules
from durable.engine.steps.graph_rows import error_text, job_of
from durable.engine.steps.graph_walks import Plans
from durable.engine.steps.graph_writes import keeps_waiting
from durable.errors import DescriptorError
from durable.postgres.connections import Connection
from durable.postgres.database import Row
from durable.protocol.codes import NOT_FOUND
from durable.protocol.graphs import Fault
from durable.protocol.messages import MessageKind
from durable.store.apps import AppStore
from durable.store.graph_jobs import GraphJobStore
from durable.store.graph_messages import Addressed, EngineStream
from durable.store.hooks import HookStore, SignalKey, Waiter
from durable.telemetry.logs import logger

Routed = tuple[Row, list[SignalKey]]
"""A signal's message, and the keys by which its waiters may wait."""


class SignalDelivery:
    """Delivers the signals of a step, on the connection of the caller."""

    def __init__(self, schema: str, plans: Plans, rules: Rules) -> None:
        self._plans = plans
        self._rules = rules
        self._apps = AppStore(schema)
        self._hooks = HookStore(schema)
        self._jobs = GraphJobStore(schema)
        self._stream = EngineStream(schema)

    async def route(self, connection: Connection, app_id: str, rows: Sequence[Row]) -> list[Routed]:
        """Find out by which keys the waiters of signals that have none yet may wait."""
        signals = [r for r in rows if r["msg_type"] == MessageKind.WEBHOOK and r["run_id"] is None]
        if not signals:
            return []
        await self._apps.hold(connection, [app_id])
        payloads = [(r["topic"], decode(r["message"]).get("data") or {}) for r in signals]
        keys = await self._rules.keys(connection, app_id, payloads)
        return list(zip(signals, keys, strict=True))

    async def deliver(self, connection: Connection, signals: Sequence[Routed]) -> None:
        """Give signals to their waiters, or store them until one comes."""
        for row, keys in signals:
            only = decode(row["message"]).get("only")
            waiter = await self._hooks.find(connection, keys, only)
            # Numbers of runs and messages come from one sequence: this waiter is the younger one.
            if waiter is None or (only is None and waiter.run_id > row["id"]):
                waiter = await self._keep(connection, row, keys, waiter)
            if waiter is None:
                continue
            await self._stream.address(
                connection, [Addressed(row["id"], waiter.run_id, waiter.dad, waiter.aid)]
            )
            if not keeps_waiting(row["message"]):
                await self._hooks.remove(connection, [waiter])

    async def _keep(
        self, connection: Connection, row: Row, keys: Sequence[SignalKey], waiter: Waiter | None
    ) -> Waiter | None:
        """Store a signal, or dead-letter it; returns the waiter when the signal is for that one."""
        meant = await self._meant(connection, keys, row["id"])
        if meant is None and waiter is not None:
            return waiter
        if meant is None or meant.state in (RUNNING, PENDING):
            run_id = None if meant is None else meant.run_id
            await self._hooks.park(connection, row["id"], keys, row["message"], run_id)
            await self._stream.consume(connection, [row["id"]])
            return None
        message = (
            f"the signal on {row['topic']!r} is for job {meant.jid!r}, which has ended,"
            " and for no later one of that id"
        )
        logger.warning("%s: message %d is put aside", message, row["id"])
        fault = Fault(NOT_FOUND, message, meant.jid)
        await self._stream.dead_letter(connection, row["id"], error_text(fault) or "{}")
        return None

    async def _meant(
        self, connection: Connection, keys: Sequence[SignalKey], sent: int
    ) -> Job | None:
        """The job that a signal, sent as message `sent`, is for by its id; None: whoever comes."""
        names = sorted({name for key in keys for name in key.names})
        found = await self._jobs.latest(connection, keys[0].app_id, names, sent) if names else []
        for row in found:
            plans = await self._plans(connection, row["app_id"], row["graph_version"])
            plan = plans.get(row["graph"])
            if plan is not None and any(_waits_by(plan, job_of(row), keys)):
                return job_of(row)
        return None


def _waits_by(plan: Plan, job: Job, keys: Sequence[SignalKey]) -> Iterator[bool]:
    """Whether hooks of a job wait by one of these keys, judged by its start and id."""
    wanted = {(key.rule, key.key) for key in keys if job.jid in key.names}
    for hook in plan.hooks.get(keys[0].topic, ()):
        yield (hook.rule, _expected(plan, job, hook)) in wanted


def _expected(plan: Plan, job: Job, hook: HookKey) -> str | None:
    trigger = plan.node(plan.trigger)
    context = ActivityContext(plan, job, trigger, addresses.ROOT, now=job.created_at)
    try:
        values = [context.evaluate(expression) for expression in hook.expected]
    except DescriptorError:  # it needs more than what the job was started with
        return None
    return None if UNDEFINED in values else key_of(values)
