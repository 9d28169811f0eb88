"""Notices that a run ended or an attempt is unwanted, verified before anything is let go of.

A process that ends a run, or wants an attempt no longer, notifies the channel of the member that
holds it. But any role of the database may notify there. So a notice is only an occasion to look
whether the tables agree: one statement for the notices of one moment, and none about what is
not held here.
"""

from __future__ import annotations

import asyncio

from durable.errors import DatabaseError
from durable.runtime.notifications import MemberKind, MemberNews
from durable.telemetry.logs import logger
from durable.worker.attempts import Attempts
from durable.worker.worker_context import WorkerContext, left_to_reconciler
from durable.worker.workflow_worker import WorkflowWorker


class Revocations:
    """The notices to one worker that it has not verified yet."""

    def __init__(
        self, context: WorkerContext, workflows: WorkflowWorker, attempts: Attempts
    ) -> None:
        self._context = context
        self._workflows = workflows
        self._attempts = attempts
        self._runs: set[int] = set()
        self._messages: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    def on_notification(self, news: MemberNews) -> None:
        """Note that a run may have ended, or an attempt may be unwanted."""
        if news.kind is MemberKind.ENDED and news.number in self._workflows.runs:
            self._runs.add(news.number)
        elif news.kind is MemberKind.UNWANTED and self._attempts.runs(news.number):
            self._messages.add(news.number)
        if (self._runs or self._messages) and (self._task is None or self._task.done()):
            self._task = self._context.tasks.once(
                "revocations", self._verify, otherwise=left_to_reconciler
            )

    async def _verify(self) -> None:
        while self._runs or self._messages:
            runs, self._runs = self._runs, set()
            messages, self._messages = self._messages, set()
            try:
                gone = await self._context.services.runs.gone(
                    self._context.member, list(runs), list(messages)
                )
            except DatabaseError as error:
                # Nothing is lost: what is written for a run that ended, or by an attempt that is
                # wanted no more, is refused.
                logger.warning("could not look up what this worker is to let go of: %s", error)
                return
            for run_id in runs & gone.runs:
                self._workflows.over(run_id)
            for message in messages & gone.messages:
                self._attempts.stop_message(message)

    def close(self) -> None:
        """Verify no more."""
        if self._task is not None:
            self._task.cancel()
