"""The options of an attempt: what its row holds, and what its metadata adds."""

from __future__ import annotations

import json

from durable.protocol.options import ActivityOptions
from durable.protocol.retry import RetryPolicy
from durable.store.activities import metadata_of, options_of

OPTIONS = ActivityOptions(
    retry=RetryPolicy(maximum_attempts=4, maximum_interval=90, non_retryable=("m:Refused",)),
    start_to_close=7.5, schedule_to_close=60, schedule_to_start=5, heartbeat=2, priority=3,
)  # fmt: skip


def _row(metadata: str | None) -> dict[str, object]:
    retry = OPTIONS.retry
    return {
        "metadata": metadata, "priority": OPTIONS.priority,
        "max_retry_attempts": retry.maximum_attempts,
        "backoff_coefficient": retry.backoff_coefficient,
        "maximum_interval_seconds": retry.maximum_interval,
        "initial_interval_seconds": retry.initial_interval,
    }  # fmt: skip


def test_a_row_gives_the_options_that_were_written() -> None:
    """Each of them."""
    assert options_of(_row(metadata_of(OPTIONS))) == OPTIONS


def test_what_a_later_version_has_added_is_left_alone() -> None:
    """A worker of this version claims such attempts, too: one word must not end its claims."""
    metadata = json.loads(metadata_of(OPTIONS) or "{}") | {"jitter": 0.5, "later": {"a": 1}}
    assert options_of(_row(json.dumps(metadata))) == OPTIONS
