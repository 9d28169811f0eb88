"""Objects that are frozen, sealed, not extensible, or have guarded properties.

JSON has no such thing; within a pipe these marks are carried along, and the pipe's result is a
plain object again. A property that was defined with `enumerable: false` is not in that result.
"""

from __future__ import annotations

from collections.abc import Iterable

from durable.descriptor.expressions.functions.arguments import Refusal


class Shielded(dict[str, object]):
    """An object with marks; made by `shielded`, never changed after.

    Attributes:
        extensible: whether properties may be added.
        hidden: the names that are not enumerable.
        locked: the names that are not writable.
        fixed: the names that are not configurable.
    """

    extensible: bool = True
    hidden: frozenset[str] = frozenset()
    locked: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()


def shielded(value: dict[str, object]) -> Shielded:
    """A copy that carries the marks of the original, if it has any."""
    copy = Shielded(value)
    if isinstance(value, Shielded):
        copy.extensible, copy.hidden = value.extensible, value.hidden
        copy.locked, copy.fixed = value.locked, value.fixed
    return copy


def restricted(
    value: dict[str, object], *, fixed: Iterable[str] = (), locked: Iterable[str] = ()
) -> Shielded:
    """A copy to which nothing can be added, with further fixed and locked names."""
    copy = shielded(value)
    copy.extensible = False
    copy.fixed = copy.fixed.union(fixed)
    copy.locked = copy.locked.union(locked)
    return copy


def check_write(value: dict[str, object], name: str) -> None:
    """Refuse what JavaScript's strict mode refuses: see the marks of `Shielded`."""
    if not isinstance(value, Shielded):
        return
    if name in value.locked:
        raise Refusal(f"the property {name!r} is read-only")
    if name not in value and not value.extensible:
        raise Refusal(f"the property {name!r} cannot be added: the object is not extensible")


def plain(value: object) -> object:
    """The value without marks and without what they hide."""
    if isinstance(value, Shielded):
        return {name: item for name, item in value.items() if name not in value.hidden}
    return value
