"""How much polls look at: all that is held now and then, else what has arrived lately."""

from __future__ import annotations

from durable.worker.reconciler import RECENT, ROWS, PollWindow
from tests.unit.runtime.test_clocks import Hands


def test_a_worker_that_holds_little_looks_at_all_of_it_each_second() -> None:
    """What a second is enough for is looked at by each poll."""
    hands = Hands()
    horizon = PollWindow(hands)
    for last_id in range(10):
        assert horizon.after is None
        horizon.looked(last_id, int(ROWS))
        hands.passes(1.0)


def test_a_worker_that_holds_much_looks_at_all_of_it_as_often_as_that_allows() -> None:
    """Between two such looks a poll begins at the last id of some seconds ago, no later."""
    hands = Hands()
    horizon = PollWindow(hands)
    afters = []
    for last_id in range(60):  # an id a second
        afters.append(horizon.after)
        horizon.looked(last_id, int(20 * ROWS) if afters[-1] is None else None)
        hands.passes(1.0)
    first = int(RECENT)
    assert afters[:first] == [None] * first
    whole = [at for at, after in enumerate(afters) if after is None]
    assert whole[first:] == [first - 1 + 20, first - 1 + 40]
    assert all(after == at - RECENT for at, after in enumerate(afters) if after is not None)


def test_what_is_in_doubt_is_looked_at_sooner() -> None:
    """A difference that was found is looked at once more, whatever is held."""
    hands = Hands()
    horizon = PollWindow(hands)
    horizon.looked(1, int(100 * ROWS))
    hands.passes(RECENT)
    assert horizon.after == 1
    horizon.look_again(2.0)
    hands.passes(2.0)
    assert horizon.after is None
