"""What a client gives a worker: the streams, and Protocols of committer and deployer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from durable.descriptor.edits import Edit
from durable.postgres.address import Address
from durable.protocol.commits import Histories, StepCommitter
from durable.protocol.retry import RetryPolicy
from durable.replay.definitions import ActivityDefinition, WorkflowDefinition
from durable.runtime.liveness import Pulse
from durable.store.activities import ActivityStream
from durable.store.announcer import Announcer
from durable.store.graph_topics import TopicStream
from durable.store.pacing import Pace
from durable.store.runs import RunStream


class ClosingCommitter(StepCommitter, Protocol):
    """A committer that a worker made for itself, and closes."""

    @property
    def pulses(self) -> Sequence[Pulse]:
        """Signs of life of its lanes."""
        ...

    async def close(self, grace: float | None = None) -> None:
        """Finish what is waiting, for so many seconds; what waits then is cancelled."""
        ...


@dataclass(frozen=True, slots=True)
class Deployed:
    """The descriptor that a worker generated.

    Attributes:
        queue: the task queue, which is the app's id.
        version: hash of the whole.
        app: the app as plain data.
    """

    queue: str
    version: str
    app: Mapping[str, object]


class Deployer(Protocol):
    """Generating and storing the descriptor of what a worker serves."""

    async def deploy(
        self, queue: str, workflows: Sequence[WorkflowDefinition],
        activities: Sequence[ActivityDefinition],
    ) -> Deployed:  # fmt: skip
        """Store the generated app, once per content."""
        ...

    async def edits(self, queue: str, numbers: Sequence[int]) -> dict[int, list[Edit]]:
        """The edits that each of these deployments has in force."""
        ...

    async def serve(self, member: int, deployed: Deployed) -> None:
        """Note which descriptor a member serves."""
        ...


class Topics(Protocol):
    """Makes the stream of work that graphs have for the activities of a worker."""

    def __call__(
        self, app_id: str, topics: Iterable[tuple[str, RetryPolicy]], pace: Pace, /
    ) -> TopicStream:
        """The stream of these topics of an app, each with the policy of its activity."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerServices:
    """Everything a worker needs, built by `durable.composition`.

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
    topics: Topics
    prune: Callable[[], None]
    migrate: Callable[[], Awaitable[object]]


class HasServices(Protocol):
    """A client: it carries what a worker needs."""

    @property
    def services(self) -> WorkerServices:
        """The streams, and services to the engine."""
        ...
