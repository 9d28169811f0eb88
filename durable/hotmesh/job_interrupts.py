"""How jobs are ended from outside."""

from __future__ import annotations

from collections.abc import Callable

from durable.engine.effects import Interruption
from durable.engine.steps.graph_steps import GraphSteps
from durable.engine.steps.graph_writes import Written
from durable.errors import ConfigurationError, JobNotFound
from durable.hotmesh.job_lookup import JobLookup
from durable.protocol.codes import INTERRUPTED
from durable.protocol.graphs import Data

_OPTIONS = {"reason", "throw", "descend", "suppress", "expire", "code", "stack"}


class JobInterrupts:
    """Interrupts the jobs of one app."""

    def __init__(
        self,
        app_id: str,
        steps: GraphSteps,
        lookup: JobLookup,
        on_committed: Callable[[Written], None],
    ) -> None:
        self._app_id = app_id
        self._steps = steps
        self._lookup = lookup
        self._on_committed = on_committed

    async def interrupt(self, topic: str, job_id: str, options: Data) -> bool:
        """End a running job of a topic; whether it was there, with `suppress` of the options."""
        if unknown := sorted(options.keys() - _OPTIONS):
            raise ConfigurationError(
                f"interrupt has unknown options {unknown}; known are {sorted(_OPTIONS)}"
            )
        how = Interruption(
            options.get("reason", ""),
            options.get("code", INTERRUPTED),
            options.get("throw", True),
            options.get("descend", False),
            options.get("stack", ""),
            options.get("expire"),
        )
        try:
            await self._lookup.of_topic(topic, job_id)
            _, written = await self._steps.interrupt(self._app_id, job_id, how)
        except JobNotFound:
            if options.get("suppress"):
                return False
            raise
        self._on_committed(written)
        return True
