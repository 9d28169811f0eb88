"""Values of numpy and pandas where builtin ones are meant, and advice on what cannot be taken.

Neither library is imported: a value that is here has brought its own.
"""

from __future__ import annotations

import inspect
from typing import Final

_LIBRARIES: Final = ("numpy", "pandas")
_UNPLAIN: Final = "ndarray", "Series", "DataFrame", "Index", "NaTType", "NAType"
_LOOKED_AT: Final = 100_000  # characters of a text
_ADVICE: Final = {
    "ndarray": "value.tolist()",
    "Series": "value.tolist(), or value.to_dict()",
    "DataFrame": 'value.to_dict("records")',
    "Index": "value.tolist()",
    "NaTType": "None",
    "NAType": "None",
    "Timestamp": "value.isoformat(), or value.to_pydatetime() where a datetime is annotated,",
    "Timedelta": "value.isoformat(), or value.to_pytimedelta() where a timedelta is annotated,",
}


def builtin_of(value: object) -> object:
    """The builtin value that a scalar of numpy or pandas is equal to; None if there is none.

    Example:
        >>> builtin_of(1.5) is None
        True
    """
    kind = type(value)
    if kind.__module__.partition(".")[0] not in _LIBRARIES or kind.__name__ in _UNPLAIN:
        return None
    convert = getattr(value, "item", None) or getattr(value, "to_pydatetime", None)
    convert = convert or getattr(value, "to_pytimedelta", None)
    if convert is None or any(getattr(value, n, None) for n in ("nanosecond", "nanoseconds")):
        return None
    found = convert()
    return found if type(found).__module__ in ("builtins", "datetime") else None


def scalar_of(value: object) -> object:
    """What to write in place of a value that pydantic does not know. `TypeError` for nothing."""
    found = builtin_of(value)
    if found is None:
        kind = type(value)
        raise TypeError(f"{kind.__module__}.{kind.__qualname__} is not a type that JSON could hold")
    return found


ANNOTATE: Final = (
    "annotate it with the type that it has; in a union of types that JSON writes alike, such as"
    " str | Decimal, leave one type, or give each a model with a Literal field"
)


def advice_on(value: object, otherwise: str = ANNOTATE) -> str:
    """What to do about a value that cannot be written, or not under its annotation."""
    for one in _within(value):
        kind = type(one)
        if inspect.iscoroutine(one):
            one.close()
            return (
                f"it is a coroutine that was not awaited, of {one.__qualname__}(): await it, or,"
                " where a plain wrapper of a decorator returned it, write `async def` there"
            )
        if kind.__module__.partition(".")[0] in _LIBRARIES:
            plain = "value.item()" if hasattr(one, "item") else "str(value)"
            how = _ADVICE.get(kind.__name__, plain)
            return f"pass {how} in place of the {kind.__module__.partition('.')[0]} {kind.__name__}"
        if advice := _advice_on_builtin(one):
            return advice
    return otherwise


def _advice_on_builtin(one: object) -> str | None:
    """What to do where no annotation would help."""
    if isinstance(one, str) and _has_surrogates(one):
        return (
            "it has halves of surrogate pairs, which are no text: pass the bytes that it was made"
            " from, such as value.encode(errors='surrogateescape')"
        )
    if inspect.isroutine(one) or isinstance(one, type):
        return "code is not a value: pass its name, and look it up where it is needed"
    return None


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text[:_LOOKED_AT])


def _within(value: object) -> list[object]:
    """The value and what the outermost containers hold: where most mistakes are."""
    if isinstance(value, dict):
        return [value, *value.values(), *(x for v in value.values() for x in _items(v))]
    return [value, *_items(value), *(x for v in _items(value) for x in _items(v))]


def _items(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (list, tuple)):
        return list(value[:1000])
    return []
