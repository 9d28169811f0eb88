"""What a worker is given by its client: the streams, and ports to who commits and who deploys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from durable.definitions import ActivityDefinition, WorkflowDefinition
from durable.postgres.address import Address
from durable.protocol.commits import Histories, StepCommitter
from durable.runtime.silence import Pulse
from durable.streams.activities import ActivityStream
from durable.streams.announce import Announcer
from durable.streams.runs import RunStream


class ClosingCommitter(StepCommitter, Protocol):
    """A committer that a worker made for itself, and closes."""

    @property
    def pulses(self) -> Sequence[Pulse]:
        """Signs of life of its lanes."""
        ...

    async def close(self, grace: float | None = None) -> None:
        """Finish what is waiting, for so many seconds; what waits then is cancelled."""
        ...


class Deployer(Protocol):
    """Generating and storing the descriptor of what a worker serves."""

    async def deploy(
        self,
        queue: str,
        workflows: Sequence[WorkflowDefinition],
        activities: Sequence[ActivityDefinition],
    ) -> dict[str, str]:
        """Store the generated app, once per content; the graph version of each workflow."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a worker needs, built by `durable.app`.

    Attributes:
        migrate: creates the schema, or brings it up to date.
    """

    address: Address
    schema: str
    runs: RunStream
    activities: ActivityStream
    histories: Histories
    announcer: Announcer
    committer: Callable[[int], ClosingCommitter]
    deployer: Deployer
    prune: Callable[[], None]
    migrate: Callable[[], Awaitable[object]]
