"""What workflow code keeps about itself for others to see and find: attributes and the entity."""

from __future__ import annotations

from durable.authoring.verbs import inside
from durable.protocol.documents import Entity
from durable.protocol.searchable import Attributes, Value


def set_attributes(**searchable: Value | None) -> None:
    """Set searchable attributes of this run: text, numbers, booleans; None removes one.

    They are on disk together with the turn that set them. `client.list(attributes=…)` finds runs by
    them, `handle.describe()` shows them.

    Raises `PayloadError` for other values, `StateError` when there would be too many; none of them
    is set then.

    Example:
        >>> durable.set_attributes(customer="ann", total=9.5, vip=True)  # doctest: +SKIP
    """
    inside("durable.set_attributes()", _AT_START).attributes.set(searchable)


def attributes() -> Attributes:
    """The searchable attributes of this run: get, mget, set, delete, incr, mult.

    Example:
        >>> durable.attributes().incr("tries")  # doctest: +SKIP
        1
    """
    return inside("durable.attributes()", _AT_START).attributes


def entity() -> Entity:
    """The entity document of this run: JSON that it keeps about what it is for.

    Operations: set, merge, get, delete, append, prepend, remove, increment, toggle,
    set_if_not_exists. They act at once, and are on disk together with the turn that did them.

    Example:
        >>> durable.entity().append("stops", {"city": "Lyon"})  # doctest: +SKIP
        [{'city': 'Lyon'}]
    """
    return inside("durable.entity()", _AT_START).entity


_AT_START = "client.start(…, attributes=…, entity=…) begins a run with some"
