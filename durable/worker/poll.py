"""The poll beneath the notifications: what is due, what arrived, and what cannot run here."""

from __future__ import annotations

import asyncio
import contextlib

from durable.telemetry.logs import logger
from durable.worker.claims import Claims
from durable.worker.reconciler import WorkerReconciler
from durable.worker.registry import Registry
from durable.worker.worker_context import WorkerContext
from durable.worker.workflow_worker import WorkflowWorker

POLL = 1.0  # seconds between two polls while runs are held
REST = 5.0  # the same of a worker that holds none: the sweeper watches the queues, too
POLL_MIN = 0.01  # polls follow each other no faster, and what is delayed is late by no more
UNSERVED_EVERY = 10  # seconds between two looks for what this worker cannot run


class Poll:
    """Looks at the tables of one worker now and then."""

    def __init__(
        self, context: WorkerContext, registry: Registry, workflows: WorkflowWorker,
        claims: Claims, reconciler: WorkerReconciler,
    ) -> None:  # fmt: skip
        self._context = context
        self._registry = registry
        self._workflows = workflows
        self._claims = claims
        self._reconciler = reconciler
        self._warned: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Poll; to be kept running until a stop."""
        now = self._context.clock.now
        looked = now()
        while True:
            self._claims.poll_now.clear()
            if now() - looked >= UNSERVED_EVERY:
                looked = now()
                await self._warn_of_unserved()
            look = await self._context.services.runs.look(
                self._context.member, self._context.queue, list(self._registry.workflows),
                list(self._registry.activities), self._reconciler.after,
            )  # fmt: skip
            changed = self._workflows.throttle(look.throttles)
            await self._context.services.runs.confirm_throttles(
                self._context.member, self._context.queue, look.throttle_calls
            )
            self._claims.wake(turns=look.turns or changed, attempts=look.activities or changed)
            for run_id in look.unread:
                self._workflows.arrived(run_id)
            await self._workflows.follow(look.open_edit)
            await self._reconciler.compare(look)
            rest = now() + REST
            due = rest if look.next is None else min(rest, look.next)
            await asyncio.sleep(POLL_MIN)
            await self._until(due)

    async def _until(self, due: float) -> None:
        """Return when it is time to look again: at `due`, when called, or soon while runs are held.

        A process that wrote to those may have died before its notification, as may one that ends a
        throttle. What no member holds is watched by the sweeper of all members.
        """
        now = self._context.clock.now
        while (left := due - now()) > 0:
            # Not `wait_for`: before 3.12 that loses a cancellation that comes with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, POLL)):
                    await self._claims.poll_now.wait()
                    return
            if len(self._workflows.runs) or self._workflows.throttles.in_force:
                return

    async def _warn_of_unserved(self) -> None:
        """Warn, once, of each name in the queue that this worker does not serve."""
        queue, registry = self._context.queue, self._registry
        found = await self._context.services.runs.unserved(
            queue, list(registry.workflows), list(registry.activities)
        )
        awaited = {app for run in self._workflows.runs for app in run.steps.awaited_apps}
        if apps := awaited - {name for kind, name in self._warned if kind == "app"}:
            await self._warn_of_apps(apps)
        for kind, name in set(found) - self._warned:
            self._warned.add((kind, name))
            what = "turns of the workflow" if kind == "turn" else "attempts of the activity"
            logger.warning(
                "the task queue %r holds %s %r, which this worker was not given: they wait for a"
                " worker that was", queue, what, name,
            )  # fmt: skip

    async def _warn_of_apps(self, apps: set[str]) -> None:
        """Warn, once, of each app without an engine of which runs held here await graphs."""
        for app in await self._context.services.runs.without_engine(apps):
            self._warned.add(("app", app))
            logger.warning(
                "workflows of the task queue %r await graphs of app %r, of which no engine runs:"
                " they wait until one does (HotMesh.init with an engine and app_id=%r)",
                self._context.queue, app, app,
            )  # fmt: skip
