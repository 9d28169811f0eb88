"""The retry policy: how often, how long between, and what not."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.codec.failures import failure_of
from durable.errors import ApplicationError, ConfigurationError
from durable.protocol.failures import Failure
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
        {"maximum_attempts": 2**31},
        {"maximum_attempts": 10**5000},
        {"maximum_attempts": 2.5},
        {"maximum_attempts": "3"},
        {"maximum_attempts": math.nan},
        {"backoff_coefficient": math.inf},
        {"backoff_coefficient": 10**400},
        {"backoff_coefficient": "2"},
        {"non_retryable": 5},
        {"non_retryable": (int,)},
        {"non_retryable": (ValueError("x"),)},
    ],
)
def test_policies_that_make_no_sense(options: Any):
    """A policy that makes no sense is refused when it is written."""
    with pytest.raises(ConfigurationError):
        RetryPolicy(**options)


def test_names_that_are_not_retried():
    """Classes and names may be mixed; a list becomes a tuple, so that the policy stays a value."""
    policy = RetryPolicy(non_retryable=[ValueError, "CardDeclined"])  # type: ignore[arg-type]
    assert policy.non_retryable_names == ("builtins:ValueError", "CardDeclined")
    assert hash(policy) == hash(RetryPolicy(non_retryable=(ValueError, "CardDeclined")))


def test_only_one_attempt_means_not_repeatable():
    """A step with one attempt must not be run again when its outcome is unknown."""
    assert ActivityOptions().repeatable
    assert not ActivityOptions(retry=RetryPolicy(maximum_attempts=1)).repeatable


def test_for_ever():
    """None, infinity and what stands for them in columns are one policy."""
    endless = RetryPolicy(maximum_attempts=None)
    assert endless == RetryPolicy(maximum_attempts=math.inf)  # type: ignore[arg-type]
    assert endless == RetryPolicy(maximum_attempts=endless.most)
    assert endless.most == 2**31 - 1
    assert RetryPolicy(maximum_attempts=5).most == 5


class NotFound(LookupError):
    """A class of the user's."""


class ConnectionError(Exception):  # noqa: A001 - the same name as another's is the point
    """A library's, which has a name of Python's, too."""


class Declined(ApplicationError):
    """A subclass of durable's own."""


def by(cause: BaseException) -> Exception:
    """A ValueError raised from it."""
    error = ValueError("payment failed")
    error.__cause__ = cause
    return error


def after(handled: BaseException) -> Exception:
    """A ValueError raised while it was handled."""
    error = ValueError("so was the other")
    error.__context__ = handled
    return error


@pytest.mark.parametrize(
    ("exc", "unwanted", "forbidden"),
    [
        (NotFound("x"), NotFound, True),
        (NotFound("x"), LookupError, True),
        (NotFound("x"), KeyError, False),
        (FileNotFoundError(2, "x"), OSError, True),
        (ValueError("x"), Exception, True),
        (ConnectionError("x"), ConnectionError, True),
        (ConnectionError("x"), OSError, False),
        (ConnectionResetError("x"), ConnectionError, False),
        (ConnectionError("x"), "ConnectionError", True),
        (NotFound("x"), "LookupError", True),
        (NotFound("x"), f"{__name__}.NotFound", True),
        (NotFound("x"), f"{__name__}:NotFound", True),
        (NotFound("x"), "__main__:NotFound", True),
        (NotFound("x"), "elsewhere:NotFound", False),
        (Declined("x"), Declined, True),
        (Declined("x"), ApplicationError, True),
        (ApplicationError("x", type="T"), "T", True),
        (ExceptionGroup("g", [KeyError("k"), NotFound("x")]), NotFound, True),
        (ExceptionGroup("g", [ExceptionGroup("h", [NotFound("x")])]), LookupError, True),
        (by(NotFound("x")), NotFound, True),
        (by(by(ExceptionGroup("g", [NotFound("x")]))), NotFound, True),
        (after(NotFound("x")), NotFound, False),
        (by(ApplicationError("stolen", non_retryable=True)), (), True),
        (ExceptionGroup("g", [ApplicationError("stolen", non_retryable=True)]), (), True),
        (after(ApplicationError("stolen", non_retryable=True)), (), False),
        (ValueError("x"), (), False),
    ],
)
def test_what_is_never_tried_again(exc: Exception, unwanted: Any, forbidden: object):
    """Classes by identity, subclasses too; names; within groups and explicit causes."""
    policy = RetryPolicy(non_retryable=unwanted if unwanted == () else (unwanted,))
    assert policy.forbids(failure_of(exc)) is forbidden


def test_rows_of_an_earlier_build_name_classes_barely():
    """A policy that was written with bare names, and a failure without ancestry, still agree."""
    policy = RetryPolicy(non_retryable=("CardDeclined",))
    assert policy.forbids(Failure("CardDeclined", "no"))
    assert policy.forbids(Failure("ApplicationError", "no", path="app:CardDeclined"))


@pytest.mark.parametrize(
    ("attempt", "failure", "limits", "expected"),
    [
        (1, None, {}, 2.0),
        (2, Failure("E", "m"), {}, 4.0),
        (3, Failure("E", "m"), {}, None),
        (1, Failure("E", "m", non_retryable=True), {}, None),
        (1, Failure("Declined", "m"), {}, None),
        (1, Failure("E", "m", next_retry_delay=9), {}, 9),
        (3, Failure("E", "m", next_retry_delay=9), {}, None),
        (1, None, {"most": 1}, None),
        (3, None, {"most": 5}, 8.0),
        (2, None, {"remaining": 4.0}, 4.0),
        (2, None, {"remaining": 3.9}, None),
        (1, Failure("E", "m", next_retry_delay=9), {"remaining": 5}, None),
    ],
)
def test_when_the_next_attempt_follows(
    attempt: int, failure: Failure | None, limits: Any, expected: float | None
):
    """The number of attempts, the failure's own word, and the time that remains, in this order."""
    policy = RetryPolicy(maximum_attempts=3, backoff_coefficient=2, non_retryable=("Declined",))
    assert policy.delay_after(attempt, failure, **limits) == expected
