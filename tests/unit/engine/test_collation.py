"""Addresses and semaphore: arithmetic that every step relies upon."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.engine.collation import addresses, semaphore

dads = st.lists(st.integers(0, 50), min_size=1, max_size=8).map(
    lambda steps: "".join(f",{s}" for s in [0, *steps])
)


@pytest.mark.parametrize(
    ("dad", "depth", "expected"),
    [(",0", 0, ",0"), (",0,3", 0, ",0"), (",0,3,0,7", 1, ",0,3"), (",0,3,0,7", 3, ",0,3,0,7")],
)
def test_an_ancestor_is_a_prefix(dad: str, depth: int, expected: str) -> None:
    """The address of an ancestor is as many numbers of the own one as it lies deep."""
    assert addresses.at_depth(dad, depth) == expected
    assert addresses.depth(expected) == depth


@given(dads, st.integers(0, 99))
def test_answers_share_their_first_leg(dad: str, number: int) -> None:
    """Every answer leads back to where the activity was entered, and children lie below it."""
    answer = addresses.answer(dad, number)
    assert addresses.leg1(answer) == addresses.leg1(dad)
    assert addresses.at_depth(addresses.below(answer), addresses.depth(dad)) == answer


@given(dads)
def test_a_lineage_holds_all_that_a_step_may_touch(dad: str) -> None:
    """Itself, each ancestor, and where each of them counts its answers."""
    lineage = set(addresses.lineage(dad))
    for depth in range(addresses.depth(dad) + 1):
        ancestor = addresses.at_depth(dad, depth)
        assert {ancestor, addresses.leg1(ancestor)} <= lineage


@pytest.mark.parametrize(
    ("status", "children", "code", "expected"),
    [
        (1, 0, 200, 0),
        (1, 1, 200, 1),
        (1, 3, 200, 3),
        (1, 0, 202, 1),
        (1, 1, 202, 2),
        (2, 0, 200, 1),
    ],
)
def test_the_semaphore_counts_open_branches(
    status: int, children: int, code: int, expected: int
) -> None:
    """An answer opens its children and closes itself, unless more answers follow."""
    assert semaphore.after_answer(status, children, stays_open=code == 202) == expected


def test_interrupted_jobs_lie_far_below() -> None:
    """The number of branches that were open can still be read from an interrupted job."""
    assert semaphore.after_interruption(2) == -999_999_998
