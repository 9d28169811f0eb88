"""Which functions can be durable: those that another process finds again and can call by name."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from types import FrameType, FunctionType

from durable.codec.signature import Signature
from durable.errors import ConfigurationError, DefinitionError
from durable.protocol.limits import check_text

_NAME_LENGTH_MAX = 200  # names become stream names and ids of a graph
_WORD = re.compile(r"\w+")


def checked(fn: object, decorator: str) -> FunctionType:
    """`fn` if it is a plain function that a definition can name, else `DefinitionError`.

    Args:
        fn: what was decorated.
        decorator: "@activity" or "@workflow", for the message.
    """
    if not isinstance(fn, FunctionType):
        raise refused(fn, decorator, _what_else(fn))
    if fn.__name__ == "<lambda>":
        raise refused(fn, decorator, "a lambda has no name: write `async def`")
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise refused(fn, decorator, "a generator has no one result: return a list, do not yield")
    parent = fn.__qualname__.rpartition(".")[0]
    if parent and not parent.endswith("<locals>"):
        raise refused(
            fn,
            decorator,
            f"it is defined in class {parent}, and another process has no `self`:"
            " move it to the module, and let it take what it needs as arguments",
        )
    return fn


def refused(fn: object, decorator: str, why: str) -> DefinitionError:
    """The error that says where the function is and what to do."""
    name = getattr(fn, "__qualname__", None) or repr(fn)
    return DefinitionError(f"{site_of(fn)}: {decorator} cannot take {name}: {why}")


def site_of(fn: object) -> str:
    """The function's "file:line"; that of the decoration, where it has no code of its own."""
    code = getattr(inspect.unwrap(fn), "__code__", None) if callable(fn) else None
    if code is not None:
        return f"{code.co_filename}:{code.co_firstlineno}"
    frame = outside_frame()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def outside_frame() -> FrameType:
    """The innermost frame that is not of this package."""
    frame = sys._getframe(1)  # noqa: SLF001 - the only cheap way
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        frame = frame.f_back
    return frame


def signature_of(fn: Callable[..., object]) -> Signature:
    """The signature; annotations of a local function may name what is local beside it."""
    return Signature(fn, namespace=_namespace(fn))


def name_of(fn: Callable[..., object], given: str | None, decorator: str) -> str:
    """The name of the definition: what is given, else the function's own."""
    if given is None:
        return fn.__name__
    try:
        check_text("name", given, decorator)
    except ConfigurationError as error:
        raise refused(fn, decorator, str(error)) from error
    if given.startswith(".") or set("{}") & set(given) or len(given) > _NAME_LENGTH_MAX:
        raise refused(
            fn,
            decorator,
            f"name={given!r}: a name does not begin with a dot, has no braces, and is no longer"
            f" than {_NAME_LENGTH_MAX} characters",
        )
    return given


def _what_else(fn: object) -> str:
    """What something is that is not a plain function, and what to do about it."""
    reasons = (
        (
            isinstance(fn, (staticmethod, classmethod)) or inspect.ismethod(fn),
            "it is a method: move it to the module as a function",
        ),
        (
            isinstance(fn, functools.partial),
            "it is a partial, which has no name: write a function that calls it",
        ),
        (inspect.isclass(fn), "it is a class: decorate a function"),
        (
            hasattr(fn, "definition"),
            "it is decorated already: one function is either an activity or a workflow",
        ),
        (
            inspect.isbuiltin(fn),
            "it is a builtin, without annotations: write a function that calls it",
        ),
    )
    found = (reason for applies, reason in reasons if applies)
    return next(found, "it is not a function: put the decorator, with options or not, on a `def`")


def _namespace(fn: Callable[..., object]) -> Mapping[str, object] | None:
    """Local names that annotations written as text may mean; None for a function of a module."""
    if "<locals>" not in fn.__qualname__:
        return None
    texts = [hint for hint in fn.__annotations__.values() if isinstance(hint, str)]
    words = {word for text in texts for word in _WORD.findall(text)}
    # Only the words are kept: the other locals shall not live longer than they used to.
    return {name: value for name, value in outside_frame().f_locals.items() if name in words}
