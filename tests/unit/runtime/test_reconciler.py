"""What is let go of, and what is not, when tables and memory differ."""

from __future__ import annotations

from durable.runtime.reconciler import APART, Difference, Reconciler, Reserved
from tests.unit.runtime.test_clocks import Hands

NOTHING = Difference()


def unknown(_row: int, _run: int) -> bool:
    return False


def test_the_list_is_read_only_where_number_or_ids_differ() -> None:
    """Equal numbers with other ids differ; and the list is not read again at once."""
    hands = Hands()
    reconciler = Reconciler(hands)
    assert not reconciler.is_due(Reserved(2, 3 ^ 9), {3, 9})
    assert reconciler.is_due(Reserved(2, 3 ^ 8), {3, 9})
    assert reconciler.is_due(Reserved(1, 3), {3, 9})
    reconciler.look({3: 3}, unknown, ())
    assert not reconciler.is_due(Reserved(1, 3), ())
    hands.passes(APART)
    assert reconciler.is_due(Reserved(1, 3), ())


def test_a_row_is_forgotten_when_it_was_unknown_in_two_looks_apart() -> None:
    """One look is not enough, nor are two at once."""
    hands = Hands()
    reconciler = Reconciler(hands)
    assert reconciler.look({7: 7}, unknown, ()) == NOTHING
    hands.passes(APART / 2)
    assert reconciler.look({7: 7}, unknown, ()) == NOTHING
    hands.passes(APART / 2)
    assert reconciler.look({7: 7}, unknown, ()) == Difference(forgotten=(7,))


def test_a_claim_that_is_late_is_not_let_go_of() -> None:
    """While a claim of before the first look has no answer, nothing that it may be is let go of."""
    hands = Hands()
    reconciler = Reconciler(hands)
    claim = reconciler.begin()
    hands.passes(1)
    reconciler.look({7: 7}, unknown, ())
    hands.passes(10 * APART)
    assert reconciler.look({7: 7}, unknown, ()) == NOTHING
    reconciler.end(claim)
    with reconciler.reserving():  # a later one does not hold it up
        hands.passes(1)
        assert reconciler.look({7: 7}, unknown, ()) == Difference(forgotten=(7,))


def test_what_turned_up_between_the_looks_begins_anew() -> None:
    """A run that was known meanwhile, was given back and claimed again is not taken for the old."""
    hands = Hands()
    reconciler = Reconciler(hands)
    reconciler.look({7: 7}, unknown, ())
    reconciler.turned_up([7])
    hands.passes(APART)
    assert reconciler.look({7: 7}, unknown, ()) == NOTHING


def test_what_is_held_here_and_reserved_by_nobody_is_lost() -> None:
    """The database has forgotten a claim, or somebody else has the row: known in two looks."""
    hands = Hands()
    reconciler = Reconciler(hands)
    assert reconciler.look({}, unknown, {5}) == NOTHING
    hands.passes(APART)
    assert reconciler.look({}, unknown, {5}) == Difference(lost=(5,))
