"""The retry policy: how often, how long between, and what not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.errors import ConfigurationError
from durable.protocol.options import ActivityOptions
from durable.protocol.retry import RetryPolicy


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (RetryPolicy(), [10, 100, 120, 120]),
        (RetryPolicy(backoff_coefficient=2, maximum_interval="300s"), [2, 4, 8, 16]),
        (RetryPolicy(backoff_coefficient=2, initial_interval="100ms"), [0.1, 0.2, 0.4, 0.8]),
        (RetryPolicy(backoff_coefficient=1, initial_interval=5), [5, 5, 5, 5]),
        (RetryPolicy(initial_interval=0), [0, 0, 0, 0]),
        (RetryPolicy(maximum_interval=timedelta(seconds=3)), [3, 3, 3, 3]),
    ],
)
def test_delays(policy: RetryPolicy, delays: list[float]):
    """The delays are those that the design promises."""
    assert [policy.delay(n) for n in (1, 2, 3, 4)] == pytest.approx(delays)


@given(
    st.floats(1, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.integers(1, 10**6)
)  # fmt: skip
def test_delays_grow_to_the_longest(coefficient: float, first: float, longest: float, n: int):
    """Delays never shrink, never exceed the longest, and never overflow."""
    policy = RetryPolicy(
        backoff_coefficient=coefficient, initial_interval=first, maximum_interval=longest
    )
    assert 0 <= policy.delay(n) <= policy.delay(n + 1) <= longest


@pytest.mark.parametrize(
    "options",
    [
        {"maximum_attempts": 0},
        {"maximum_attempts": -1},
        {"maximum_attempts": True},
        {"backoff_coefficient": 0.5},
        {"backoff_coefficient": float("nan")},
        {"maximum_interval": "long"},
        {"initial_interval": -1},
    ],
)
def test_policies_that_make_no_sense(options: Any):
    """A policy that makes no sense is refused when it is written."""
    with pytest.raises(ConfigurationError):
        RetryPolicy(**options)


def test_names_that_are_not_retried():
    """Classes and names may be mixed; a list becomes a tuple, so that the policy stays a value."""
    policy = RetryPolicy(non_retryable=[ValueError, "CardDeclined"])  # type: ignore[arg-type]
    assert policy.non_retryable_names == ("ValueError", "CardDeclined")
    assert hash(policy) == hash(RetryPolicy(non_retryable=(ValueError, "CardDeclined")))


def test_only_one_attempt_means_not_repeatable():
    """A step with one attempt must not be run again when its outcome is unknown."""
    assert ActivityOptions().repeatable
    assert not ActivityOptions(retry=RetryPolicy(maximum_attempts=1)).repeatable
