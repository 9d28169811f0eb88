"""Looking at exceptions whose classes may do anything.

A class may raise from whatever is asked of it, `SystemExit` included, return what is not text, or
lie about itself. What is read here is read by the descriptors of `BaseException` and `type`, which
run no code of the user's; where that cannot be avoided (`__str__`, `__repr__`, an attribute asked
for by name), whatever it raises is an answer too.
"""

from __future__ import annotations

import abc
import builtins
import reprlib
import types
from collections.abc import Iterable
from typing import Any, Final, cast

BUILTIN: Final = frozenset(
    {object}
    | {v for v in vars(builtins).values() if isinstance(v, type) and issubclass(v, BaseException)}
)
"""Classes of Python's own: their methods are C, and run nothing else."""

_EXCEPTION = vars(BaseException)
_TYPE = vars(type)
_NAME_MAX = 200
TEXT_MAX: Final = 20_000
"""The longest text that is kept of a message or traceback, in characters."""
_SHOWN_MAX = 200
_RAISED_HERE = frozenset({"obj"})  # of AttributeError: it serves the interpreter's suggestions
_PYTHONS = frozenset(
    {"__cause__", "__class__", "__context__", "__dict__", "__getattribute__"}
    | {"__suppress_context__", "__traceback__"}
)
_METACLASS = frozenset({"__getattribute__", "__instancecheck__", "__subclasscheck__"})
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHOWN_MAX


def clean(text: str, longest: int = TEXT_MAX) -> str:
    r"""Text that Postgres can hold: lone surrogates and NULs spelled out, cut at `longest`.

    Example:
        >>> clean("a\x00b"), clean("abcdef", 3)
        ('a\\x00b', 'abc… (3 more characters)')
    """
    text = text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… ({len(text) - longest} more characters)"


def text_of(exc: BaseException) -> str:
    """What `str(exc)` gives, cleaned; for a broken `__str__` a text that says so."""
    try:
        return clean(str.__str__(str(exc)))
    except BaseException as error:  # noqa: BLE001 - user code, which must not hide the failure
        return f"<{name_of(type(exc))} whose __str__ raised {name_of(type(error))}>"


def cleaned(value: object) -> str:
    """A name as text: as it is if it is text, else its `repr`, short."""
    # By the type itself: `__class__`, which isinstance() asks, is a user's code.
    is_text = issubclass(type(value), str)
    return clean(str.__str__(cast("str", value)), _NAME_MAX) if is_text else shown(value)


def shown(value: object) -> str:
    """A short `repr`, whatever the value's class does."""
    try:
        return clean(str.__str__(_SHORT.repr(value)), _SHOWN_MAX)
    except BaseException as error:  # noqa: BLE001 - user code, which must not hide the failure
        return f"<{name_of(type(value))} whose __repr__ raised {name_of(type(error))}>"


def attribute(exc: BaseException, name: str, default: object = None) -> Any:
    """`exc.name`, or the default where that is missing or raises anything."""
    try:
        return getattr(exc, name, default)
    except BaseException:  # noqa: BLE001 - a property of the user's, which must not hide the failure
        return default


def state_of(exc: BaseException, name: str) -> Any:
    """What `BaseException` itself holds, such as `args`, `__cause__` and `__traceback__`."""
    return _EXCEPTION[name].__get__(exc)


def set_cause(exc: BaseException, cause: BaseException | None) -> None:
    """`exc.__cause__ = cause`, past any `__setattr__`."""
    _EXCEPTION["__cause__"].__set__(exc, cause)


def set_args(exc: BaseException, args: Iterable[object]) -> None:
    """`exc.args = args`, past any `__setattr__`."""
    _EXCEPTION["args"].__set__(exc, tuple(args))


def dict_of(exc: BaseException) -> dict[str, object]:
    """The attributes themselves: a change of this dict is one of the exception."""
    found: dict[str, object] = _EXCEPTION["__dict__"].__get__(exc)
    return found


def add_note(exc: BaseException, note: str) -> None:
    """`exc.add_note(note)`, past what the class makes of it."""
    attributes = dict_of(exc)
    notes = attributes.get("__notes__")
    attributes["__notes__"] = [*notes, note] if type(notes) is list else [note]


def notes_of(exc: BaseException) -> list[str]:
    """The notes that hang on it."""
    notes = dict_of(exc).get("__notes__")
    return [clean(note) for note in notes if type(note) is str] if type(notes) is list else []


def name_of(cls: type) -> str:
    """`cls.__name__`, past its metaclass."""
    return clean(str.__str__(_TYPE["__name__"].__get__(cls)), _NAME_MAX)


def path_of(cls: type) -> str:
    """A class as "module:qualname", past its metaclass."""
    try:
        module = _TYPE["__module__"].__get__(cls)
    except AttributeError:  # deleted
        module = ""
    module = module if type(module) is str else ""
    return clean(f"{module}:{str.__str__(_TYPE['__qualname__'].__get__(cls))}", 3 * _NAME_MAX)


def bases_of(cls: type) -> tuple[type, ...]:
    """`cls.__mro__`, past its metaclass."""
    found: tuple[type, ...] = _TYPE["__mro__"].__get__(cls)
    return found


def names_in(cls: type) -> Any:
    """`vars(cls)`, past its metaclass."""
    return _TYPE["__dict__"].__get__(cls)


def is_tampered_with(cls: type) -> bool:
    """Whether a class, or its metaclass, replaces what Python itself asks of any exception."""
    own_bases = [base for base in bases_of(cls) if base not in BUILTIN]
    above = [base for base in bases_of(type(cls)) if base not in (object, type, abc.ABCMeta)]
    return any(_replaces(base, _PYTHONS) for base in own_bases) or any(
        _replaces(base, _METACLASS) for base in above
    )


def _replaces(cls: type, names: frozenset[str]) -> bool:
    found = names_in(cls)
    # A mixin that is not an exception has a `__dict__` of Python's own making.
    return any(type(found[name]) is not types.GetSetDescriptorType for name in names & found.keys())


def fields_of(exc: BaseException) -> dict[str, Any]:
    """What the exception holds outside of its `__dict__`: slots, and fields written in C.

    `errno` and `filename` of an `OSError`, `start` of a `UnicodeError`; those that are not set are
    left out.
    """
    found: dict[str, object] = {}
    for base in bases_of(type(exc)):
        for name, descriptor in list(names_in(base).items()):
            if name == "args" or (name.startswith("__") and name.endswith("__")):
                continue
            if base is AttributeError and name in _RAISED_HERE:
                continue
            if type(descriptor) in (types.MemberDescriptorType, types.GetSetDescriptorType):
                try:
                    found.setdefault(name, descriptor.__get__(exc))
                except Exception:  # noqa: BLE001, S112 - C code: not set, or not readable so
                    continue
    return found


def set_field(exc: BaseException, name: str, value: object) -> None:
    """Set what `fields_of` gave. `AttributeError` if there is no such field."""
    for base in bases_of(type(exc)):
        descriptor = names_in(base).get(name)
        if type(descriptor) is types.MemberDescriptorType:
            descriptor.__set__(exc, value)
            return
    raise AttributeError(name)
