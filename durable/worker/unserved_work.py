"""What waits in a queue that this worker cannot run: left for one that can, and said once."""

from __future__ import annotations

from collections.abc import Sequence

from durable.store.runs import RunStream
from durable.telemetry.logs import logger


class UnservedWork:
    """What one worker was not given.

    Args:
        runs: where to ask.
        queue: the task queue.
        workflows: the names that the worker serves.
        activities: likewise.
    """

    def __init__(
        self, runs: RunStream, queue: str, workflows: Sequence[str], activities: Sequence[str]
    ) -> None:
        self._runs = runs
        self._queue = queue
        self._workflows = workflows
        self._activities = activities
        self._said: set[tuple[str, str]] = set()

    async def say(self) -> None:
        """Look, and say what was not said before."""
        found = await self._runs.unserved(self._queue, self._workflows, self._activities)
        for kind, name in set(found) - self._said:
            self._said.add((kind, name))
            what = "turns of the workflow" if kind == "turn" else "attempts of the activity"
            logger.warning(
                "the task queue %r holds %s %r, which this worker was not given: they wait for a"
                " worker that was",
                self._queue,
                what,
                name,
            )
