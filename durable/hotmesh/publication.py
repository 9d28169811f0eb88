"""What a caller of `pub` or `pubsub` publishes."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from durable.engine.extension import Extension
from durable.protocol.graphs import Data


@dataclass(frozen=True, slots=True)
class Publication:
    """Data on a topic, with which a job begins.

    Attributes:
        topic: what a graph subscribes to, or the name of a workflow.
        data: what the job gets.
        context: `{"metadata": {"trc": …, "spn": …}}`.
        extension: what it is given beside its data.
        request: by which the same publication is known again; None for one of its own.
    """

    topic: str
    data: Data | None = None
    context: Data | None = None
    extension: Extension = field(default_factory=Extension)
    request: UUID | None = None
