"""What ends an attempt whose code does not: its time limits, and the silence of its heartbeat."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from durable.authoring.heartbeats import HEART
from durable.runtime.clocks import MemberClock
from durable.runtime.threads import carry_into_threads
from durable.telemetry.logs import logger
from durable.worker.attempt_code import Outcome, RunningAttempt

LATE = 0.05  # seconds; a timer that comes later than this was held up by a blocked loop


class AttemptTimeouts:
    """The time limits of running attempts.

    Args:
        clock: the database's time, and elapsed time.
        end: ends an attempt that exceeded a limit.
        blamed: where the code stands, or stood, that blocked the loop.
    """

    def __init__(
        self,
        clock: MemberClock,
        end: Callable[[RunningAttempt, Outcome], None],
        blamed: Callable[[], str],
    ) -> None:
        self._clock = clock
        self._end = end
        self._blamed = blamed

    def arm(self, running: RunningAttempt) -> None:
        """Arm the limits of an attempt; they count from now on."""
        attempt, options = running.attempt, running.attempt.options
        limit, kind = options.start_to_close, "start_to_close"
        if options.schedule_to_close is not None:
            rest = max(0.0, attempt.scheduled_at + options.schedule_to_close - self._clock.now())
            if limit is None or rest < limit:
                limit, kind = rest, "schedule_to_close"
        if limit is not None:
            self._set(running, kind, limit, partial(self._expire, running, kind, limit))
        if options.heartbeat is not None:
            carry_into_threads(HEART)
            self._set(running, "heartbeat", options.heartbeat, partial(self._watch, running))

    def _set(
        self, running: RunningAttempt, kind: str, delay: float, fire: Callable[[float], None]
    ) -> None:
        due = self._clock.monotonic() + delay
        running.timers[kind] = self._clock.host.call_at(due, fire, due)

    def _expire(self, running: RunningAttempt, kind: str, limit: float, due: float) -> None:
        late = self._clock.monotonic() - due
        if late > LATE and running.task is not None:
            # What blocked the loop may have kept the code from ending in time: it goes first.
            self._warn_of_blocked_loop(running, late)
            self._set(running, kind, LATE, partial(self._expire, running, kind, limit))
            return
        self._end(running, running.timed_out(kind, limit))

    def _watch(self, running: RunningAttempt, due: float) -> None:
        """End the attempt once its last heartbeat is older than the limit."""
        limit = running.attempt.options.heartbeat or 0.0
        late = self._clock.monotonic() - due
        rest = running.heart.last + limit - self._clock.monotonic()
        if rest <= 0 and late > LATE and running.task is not None:
            self._warn_of_blocked_loop(
                running, late
            )  # while the loop stood still it could not beat
            rest = limit
        if rest > 0:
            self._set(running, "heartbeat", rest, partial(self._watch, running))
        else:
            self._end(running, running.timed_out("heartbeat", limit))

    def _warn_of_blocked_loop(self, running: RunningAttempt, late: float) -> None:
        where = self._blamed()
        logger.warning(
            "the event loop of this worker was blocked for %.2g s by what did not yield%s;"
            " activity %r (run %s) gets that time again: move blocking code into a plain activity",
            late, f" ({where})" if where else "", running.attempt.name, running.attempt.jid,
        )  # fmt: skip
