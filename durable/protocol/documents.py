"""The entity document: JSON that a run keeps about what it is for, and ten operations on it.

A path names a place in it: "customer.address.city", with list items by number ("lines.0.price"),
or a sequence such as ("a.b", "c") where keys have dots themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from durable.errors import StateError
from durable.protocol.json_values import compact_json, plain
from durable.protocol.searchable import added, number

Path = str | Sequence[str | int]

PATH_MAX = 32  # keys
SIZE_MAX = 256 * 1024  # bytes of JSON: it is written anew with each turn that changes it

NAME = "the entity"  # in messages

_MISSING: object = object()


def steps_of(path: Path) -> tuple[str | int, ...]:
    """The keys and indices that a path names.

    Raises `StateError` for what is no path.

    Example:
        >>> steps_of("lines.0.price"), steps_of(("a.b", 1))
        (('lines', '0', 'price'), ('a.b', 1))
    """
    if isinstance(path, str):
        found: tuple[str | int, ...] = tuple(path.split("."))
    elif isinstance(path, Sequence):
        found = tuple(path)
    else:
        found = ()
    if not 0 < len(found) <= PATH_MAX or not all(
        (isinstance(s, str) and s) or (isinstance(s, int) and not isinstance(s, bool))
        for s in found
    ):
        raise StateError(
            f"{path!r:.100} is no path: give keys joined by dots, such as 'customer.name',"
            f" or a sequence of keys and list indices, {PATH_MAX} at most"
        )
    return found


class Entity:
    """The entity document of one run. What goes in and out is copied.

    In a workflow, `durable.entity()` gives it. What is done to it is done at once, and on disk
    together with the turn that did it. Operations raise `StateError` where they do not fit what is
    there, and `PayloadError` for values that JSON cannot hold.

    Example:
        >>> entity = Entity({"total": 2})
        >>> entity.increment("total", 0.5), entity.append("lines", "ink"), entity.toggle("paid")
        (2.5, ['ink'], True)
        >>> entity.get()
        {'total': 2.5, 'lines': ['ink'], 'paid': True}
    """

    __slots__ = ("_bound", "_data", "_guard", "changed")

    def __init__(
        self, data: Mapping[str, object] | None = None, guard: Callable[[], None] | None = None
    ) -> None:
        self._guard: Callable[[], None] | None = None
        self._data: dict[str, object] = {}
        self._bound = 2  # bytes, never less than the size
        self.changed = False
        self.set(data or {})
        self._guard = guard
        self.changed = False

    def __repr__(self) -> str:
        return f"Entity({self._data!r:.200})"

    @property
    def weight(self) -> int:
        """Bytes of JSON, at most."""
        return self._bound

    def get(self, path: Path | None = None, default: object = None) -> Any:
        """What is at a path, or the default; the whole without a path."""
        if path is None:
            return deepcopy(self._data)
        found = self._find(steps_of(path))
        return default if found is _MISSING else deepcopy(found)

    def set(self, value: Mapping[str, object]) -> dict[str, Any]:
        """Replace the whole; what it is now."""
        self._check()
        fresh = self._mapping(value)
        size = len(compact_json(fresh).encode())
        if size > SIZE_MAX:
            raise self._too_large(size)
        self._data, self._bound, self.changed = fresh, size, True
        return self._whole()

    def merge(self, value: Mapping[str, object]) -> dict[str, Any]:
        """Write dicts into dicts, at any depth; all else replaces what was there. The whole."""
        self._check()
        fresh = self._mapping(value)
        self._grow(fresh, lambda: _merge(self._data, fresh))
        return self._whole()

    def delete(self, path: Path) -> dict[str, Any]:
        """Remove what is at a path, if there is something; the whole."""
        self._check()
        *above, last = steps_of(path)
        holder = self._find(tuple(above))
        if isinstance(holder, dict) and str(last) in holder:
            del holder[str(last)]
            self.changed = True
        elif isinstance(holder, list) and (index := _index(holder, last)) is not None:
            del holder[index]
            self.changed = True
        return self._whole()

    def append(self, path: Path, value: object) -> list[Any]:
        """Add to the end of a list, which is made where there is none; the list."""
        return self._insert(path, value, last=True)

    def prepend(self, path: Path, value: object) -> list[Any]:
        """Add to the beginning of a list, which is made where there is none; the list."""
        return self._insert(path, value, last=False)

    def remove(
        self, path: Path, index: int | None = None, *, value: object = _MISSING
    ) -> list[Any]:
        """Remove from a list the item at an index, or the first that equals `value`; the list.

        An index that the list does not have is an error; a value that it does not have is none.
        """
        self._check()
        if (index is None) == (value is _MISSING):
            raise StateError("remove() takes either an index or value=…, to say what goes")
        items = self._find(steps_of(path))
        if not isinstance(items, list):
            raise self._unlike(path, items, "a list")
        if index is None:
            wanted = compact_json(plain(value, "what is removed"))
            index = next((n for n, i in enumerate(items) if compact_json(i) == wanted), None)
        elif not -len(items) <= index < len(items):
            raise StateError(
                f"{NAME} has {len(items)} items at {_shown(path)}, and none at index {index}"
            )
        if index is not None:
            del items[index]
            self.changed = True
        return deepcopy(items)

    def increment(self, path: Path, by: float = 1) -> int | float:
        """Add to a number, 0 where there is none; the sum."""
        self._check()
        what = f"{NAME} at {_shown(path)}"
        before = self._find(steps_of(path))
        total = added(number(0 if before is _MISSING else before, what), by, what)
        self._put(path, total)
        return total

    def toggle(self, path: Path) -> bool:
        """Turn a boolean round; true where there is none. What it is now."""
        self._check()
        before = self._find(steps_of(path))
        if before is not _MISSING and not isinstance(before, bool):
            raise self._unlike(path, before, "a boolean")
        after = before is _MISSING or not before
        self._put(path, after)
        return after

    def set_if_not_exists(self, path: Path, value: object) -> Any:
        """Set what is at a path unless there is something, be it None; what is there now."""
        self._check()
        found = self._find(steps_of(path))
        if found is _MISSING:
            found = plain(value, "the value")
            self._put(path, found)
        return deepcopy(found)

    def _check(self) -> None:
        if self._guard is not None:
            self._guard()

    # --- inside --------------------------------------------------------------------------------

    def _whole(self) -> dict[str, object]:
        return deepcopy(self._data)

    def _mapping(self, value: object) -> dict[str, object]:
        if not isinstance(value, Mapping):
            raise StateError(f"{NAME} is a JSON object, so give a dict, not {value!r:.100}")
        return dict(plain(value, "the value"))

    def _find(self, steps: tuple[str | int, ...]) -> object:
        place: object = self._data
        for step in steps:
            if isinstance(place, dict) and str(step) in place:
                place = place[str(step)]
            elif isinstance(place, list) and (index := _index(place, step)) is not None:
                place = place[index]
            else:
                return _MISSING
        return place

    def _insert(self, path: Path, value: object, *, last: bool) -> list[object]:
        self._check()
        before = self._find(steps_of(path))
        if before is _MISSING:
            before = []
        if not isinstance(before, list):
            raise self._unlike(path, before, "a list")
        item = plain(value, "the value")
        after = [*before, item] if last else [item, *before]
        self._put(path, after, item)
        return deepcopy(after)

    def _put(self, path: Path, value: object, grown: object = _MISSING) -> None:
        """Set what is at a path, dicts above it made where there are none."""
        steps = steps_of(path)
        self._check_holders(steps)
        self._grow(
            [*map(str, steps), value if grown is _MISSING else grown],
            lambda: _place(self._data, steps, value),
        )

    def _check_holders(self, steps: tuple[str | int, ...]) -> None:
        place: object = self._data
        for n, step in enumerate(steps):
            if isinstance(place, list):
                index = _index(place, step)
                if index is None:
                    raise StateError(
                        f"{NAME} has a list of {len(place)} items at {_shown(steps[:n])},"
                        f" and none at {step!r}: append() adds one"
                    )
                place = place[index]
            elif not isinstance(place, dict):
                raise self._unlike(steps[:n], place, "an object")
            elif str(step) not in place:
                return
            else:
                place = place[str(step)]

    def _grow(self, more: object, change: Any) -> None:
        """Make a change that adds no more than `more`, unless it would then be too large."""
        added_size = len(compact_json(more).encode()) + 8
        if self._bound + added_size <= SIZE_MAX:
            change()
            self._bound += added_size
        else:
            before = deepcopy(self._data)
            change()
            size = len(compact_json(self._data).encode())
            if size > SIZE_MAX:
                self._data = before
                raise self._too_large(size)
            self._bound = size
        self.changed = True

    def _too_large(self, size: int) -> StateError:
        return StateError(
            f"{NAME} would be {size:,} bytes of JSON, and {SIZE_MAX:,} is the most: keep"
            " large things in a table or file of your own, and their keys here"
        )

    def _unlike(self, path: Path, value: object, wanted: str) -> StateError:
        found = "nothing" if value is _MISSING else f"{compact_json(value):.100}"
        return StateError(f"{NAME} has {found} at {_shown(path)}, where {wanted} is needed")


def _merge(into: dict[str, object], more: Mapping[str, object]) -> None:
    for key, value in more.items():
        before = into.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            _merge(before, value)
        else:
            into[key] = value


def _place(data: dict[str, object], steps: tuple[str | int, ...], value: object) -> None:
    holder: Any = data
    for step in steps[:-1]:
        if isinstance(holder, list):
            holder = holder[_index(holder, step) or 0]
        else:
            holder = holder.setdefault(str(step), {})
    if isinstance(holder, list):
        holder[_index(holder, steps[-1]) or 0] = value
    else:
        holder[str(steps[-1])] = value


def _index(items: list[object], step: str | int) -> int | None:
    """The index that a step names, if the list has it."""
    if isinstance(step, str):
        if not (step.isascii() and step.isdigit()):
            return None
        step = int(step)
    return step if -len(items) <= step < len(items) else None


def _shown(path: Path | tuple[str | int, ...]) -> str:
    return repr(path if isinstance(path, str) else ".".join(map(str, path))) if path else "its root"
