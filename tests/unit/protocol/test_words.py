"""The frozen words: failures as dicts and text, kinds of steps."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.protocol.commands import StartActivity, StartChild, StartTimer, kind_of
from durable.protocol.facts import Fact, FactKind
from durable.protocol.failures import Failure, failure_from_json
from durable.protocol.options import ActivityOptions, WorkflowOptions

TEXT = st.text(max_size=5)
FAILURES = st.recursive(
    st.builds(Failure, type=TEXT, message=TEXT),
    lambda inner: st.builds(
        Failure,
        type=TEXT,
        message=TEXT,
        kind=st.sampled_from(["application", "activity", "child", "timeout"]),
        path=TEXT,
        traceback=TEXT,
        non_retryable=st.booleans(),
        next_retry_delay=st.none() | st.floats(0, 1e6),
        details=st.none() | st.lists(st.integers()) | st.dictionaries(TEXT, TEXT),
        cause=st.none() | inner,
        name=TEXT,
        attempts=st.integers(1, 9),
    ),
    max_leaves=3,
)


@given(FAILURES)
def test_failures_survive_json(failure: Failure):
    """A failure comes back from its dict and its text as it was, causes included."""
    assert Failure.from_dict(json.loads(json.dumps(failure.to_dict()))) == failure
    assert failure_from_json(failure.to_json()) == failure


def test_falsy_details_are_kept():
    """Details that are zero, false or empty are details."""
    for details in (0, False, "", [], {}):
        failure = Failure("T", "m", details=details)
        back = Failure.from_dict(failure.to_dict()).details
        assert (back, type(back)) == (details, type(details))


def test_a_delay_of_zero_is_kept():
    """`next_retry_delay=0` means at once, and not the policy's delay."""
    assert (
        Failure.from_dict(Failure("T", "m", next_retry_delay=0.0).to_dict()).next_retry_delay == 0
    )


def test_no_failure():
    """No text is no failure; a later version's keys are ignored."""
    assert failure_from_json(None) is None
    assert Failure.from_dict({"type": "T", "message": "m", "later": 1}) == Failure("T", "m")


def test_kinds_of_steps():
    """Each step has the kind that facts and open rows name it by."""
    assert kind_of(StartActivity(1, "a", "{}", ActivityOptions())) == FactKind.ACTIVITY
    assert kind_of(StartTimer(1, 0.0)) == FactKind.TIMER
    assert kind_of(StartChild(1, "c", "id", "{}", WorkflowOptions())) == FactKind.CHILD


def test_words_are_frozen():
    """What rooms hand to each other cannot be changed on the way."""
    fact = Fact(FactKind.TIMER, 1.0, number=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        fact.at = 2.0  # type: ignore[misc]
