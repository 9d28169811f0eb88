"""Searchable attributes: each operation, and what is no attribute."""

from __future__ import annotations

import math
from typing import Any

import pytest

from durable.errors import PayloadError, StateError
from durable.protocol.searchable import COUNT_MAX, TEXT_MAX, Attributes


def test_set_get_and_delete() -> None:
    """Values of each kind; None removes; counts of what is new, and of what was there."""
    found = Attributes({"a": "ä"})
    assert found.set({"b": 1}, c=2.5, d=True, a="b") == 3
    assert found.mget("a", "b", "c", "d", "e") == ["b", 1, 2.5, True, None]
    assert found.get("e", 7) == 7
    assert found.set(b=None, e=None) == 0
    assert (len(found), "b" in found, sorted(found)) == (3, False, ["a", "c", "d"])
    assert found.delete("a", "a", "lacks") == 1
    assert found.as_dict() == {"c": 2.5, "d": True}
    assert found.changed


def test_numbers_are_calculated_as_on_paper() -> None:
    """Sums from 0, products from 1; whole numbers stay whole; 0.1 and 0.2 are 0.3."""
    found = Attributes()
    assert [found.incr("n"), found.incr("n", 5), found.incr("n", -7.0)] == [1, 6, -1.0]
    assert [found.mult("m", 12), found.mult("m", 10)] == [12, 120]
    assert isinstance(found.get("m"), int)
    found.set(x=0.1)
    assert [found.incr("x", 0.2), found.mult("x", 3), found.mult("x", 0)] == [0.3, 0.9, 0.0]
    found.set(big=2**60)
    assert found.incr("big") == 2**60 + 1
    assert found.mult("big", 2) == 2**61 + 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", math.nan), ("a", math.inf), ("a", [1]), ("a", {"b": 1}), ("a", b"x"),
        ("a", 10**1001),
        ("a", "x" * (TEXT_MAX + 1)), ("a", "\x00"), ("a", "\udc80"), ("", 1), ("x" * 101, 1),
        ("\x00", 1), (7, 1),
    ],
)  # fmt: skip
def test_what_is_no_attribute_is_refused(name: Any, value: Any) -> None:
    """None of those that were given together is set."""
    found = Attributes({"k": 1})
    with pytest.raises(PayloadError):
        found.set({"fine": 1, name: value})
    assert found.as_dict() == {"k": 1}
    assert not found.changed


def test_what_does_not_fit_is_refused() -> None:
    """Sums of texts and booleans, of what is no number, without a finite result, and too many."""
    found = Attributes({"t": "1", "b": True, "f": 1.7e308})
    for name, by in (("t", 1), ("b", 1), ("n", "1"), ("n", True), ("n", math.nan)):
        with pytest.raises(StateError, match=r"number|finite"):
            found.incr(name, by)
        with pytest.raises(StateError, match=r"number|finite"):
            found.mult(name, by)
    with pytest.raises((StateError, PayloadError)):
        found.mult("f", 10)
    found.set({str(n): n for n in range(COUNT_MAX - 3)})
    with pytest.raises(StateError, match="at most"):
        found.set(more=1)
    assert len(found) == COUNT_MAX
