"""What follows a commit of graph jobs: worker loops, engines, waiters and subscribers are woken."""

from __future__ import annotations

import asyncio

from durable.client.terminations import announce_termination
from durable.descriptor.plan import Plan
from durable.engine.job import Job
from durable.engine.job_queries import JobSnapshot
from durable.engine.steps.graph_writes import CommitReport
from durable.hotmesh.served_topics import ServedTopics
from durable.hotmesh.subscriptions import topics_of
from durable.runtime import channels
from durable.runtime.channels import Channel
from durable.runtime.end_waiters import EndWaiters
from durable.runtime.notifications import (
    EngineNews,
    QueueKind,
    QueueNews,
    RowNews,
)
from durable.runtime.notifier import Notifier
from durable.store.announcer import Announcer
from durable.telemetry.spans import made


class EngineWake:
    """Wakes the engines of an app: that of this process by an event, else by a notification.

    Attributes:
        channel: on which engines listen.
        event: set when the engine of this process has something to do.
    """

    def __init__(self, notifier: Notifier, channel: Channel, *, local: bool) -> None:
        self.channel = channel
        self.event = asyncio.Event()
        self._notifier = notifier
        self._local = local

    def __call__(self, _payload: str = "") -> None:
        """Wake them."""
        if self._local:
            self.event.set()
        else:
            self._notifier.notify(self.channel, EngineNews())


class CommitAnnouncements:
    """Announces what commits of this process have written, here by calls, elsewhere by NOTIFY.

    Args:
        app: namespace and app.
        senders: sends notifications, and says to whom what concerns functions goes.
        topics: the worker loops of this process.
        waiters: the calls of this process that wait for an end.
        wake: wakes the engines.
    """

    def __init__(
        self,
        app: tuple[str, str],
        senders: tuple[Notifier, Announcer],
        topics: ServedTopics,
        waiters: EndWaiters[JobSnapshot],
        wake: EngineWake,
    ) -> None:
        self._namespace, self._app_id = app
        self._notifier, self._announcer = senders
        self._topics = topics
        self._waiters = waiters
        self._wake = wake

    def on_committed(self, written: CommitReport) -> None:
        """Announce what a commit has written."""
        made(written.legs)
        for stream in written.streams:
            loop = self._topics.get(stream)
            if loop is not None:
                loop.wake()
            if loop is None or loop.free <= 0:
                self._notifier.notify(
                    channels.queue(self._namespace, stream), QueueNews(QueueKind.WORK)
                )
        self._announce_functions(written)
        if written.sent:
            self._wake()
        for emission, job, plan in written.emitted:
            self._publish(job, plan, emission)
        for job, plan in written.ended:
            for channel in job.reply_to:
                if channel == self._waiters.channel:
                    self._waiters.ended(job.run_id, (job, plan, job.finished_at or 0.0))
                else:
                    self._notifier.notify(Channel(channel), RowNews(job.run_id))
            self._publish(job, plan, job.run_id)

    def _announce_functions(self, written: CommitReport) -> None:
        """Announce workflows that were started, and those that have something in their inboxes."""
        for queue, amount in written.queues.items():
            self._announcer.queue(queue, QueueKind.TURN, amount)
        for run in written.reached:
            self._announcer.arrived(run.run_id, run.member, run.queue)
        for run_id, ended in written.terminated:
            announce_termination(self._announcer, run_id, ended)

    def _publish(self, job: Job, plan: Plan, number: int) -> None:
        """Announce a run that ended, or an emission, to subscribers."""
        for topic in topics_of(job, plan):
            channel = channels.topic(self._namespace, self._app_id, topic)
            self._notifier.notify(channel, RowNews(number))
