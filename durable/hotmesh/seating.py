"""The workers of a mesh, as its engine finds seats with them."""

from __future__ import annotations

from collections.abc import Mapping

from durable.hotmesh.workers import WorkerLoop
from durable.streams.graph_messages import Taken
from durable.streams.seats import Seat


class Seating:
    """Implements `streams.seats.Seats` for the workers of one process, by their streams."""

    def __init__(self, workers: Mapping[str, WorkerLoop]) -> None:
        self._workers = workers

    def serves(self, stream: str) -> bool:
        """Whether a worker of this process takes work from a stream."""
        return stream in self._workers

    def seat(self, stream: str) -> Seat | None:
        """A slot of the stream's worker, None where the work has to wait."""
        worker = self._workers.get(stream)
        return None if worker is None else worker.seat()

    def seated(self, stream: str, seat: Seat, taken: Taken | None) -> None:
        """Work has taken the seat, or nothing came of it."""
        self._workers[stream].seated(seat, taken)
