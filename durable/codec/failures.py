"""Exceptions as data and back.

An exception is rebuilt as the user's own class only if that class is already loaded here. Nothing
is ever imported: an `except` clause can only name a class whose module is loaded, so an import
could serve nobody, while it would let whoever writes to the database choose a module to run.
Nor is an `__init__` written in Python called: what it set comes back as attributes.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from durable.codec.guards import plain
from durable.codec.tracebacks import REMOTE, clean, remote_traceback
from durable.errors import (
    ActivityFailed,
    ActivityTimeout,
    ApplicationError,
    ChildFailed,
    ConfigurationError,
    OutcomeUnknown,
    PayloadError,
    StepFailed,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowTerminated,
)
from durable.protocol.durations import seconds
from durable.protocol.failures import Failure

_DEPTH_MAX = 20  # causes of causes; a longer chain says no more
_GROUP_MAX = 100  # exceptions of one group

_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (ActivityTimeout, "timeout"),
    (OutcomeUnknown, "lost"),
    (ActivityFailed, "activity"),
    (ChildFailed, "child"),
    (WorkflowCancelled, "cancelled"),
    (asyncio.CancelledError, "cancelled"),
    (WorkflowTerminated, "terminated"),
    (PayloadError, "payload"),
)


def failure_of(exc: BaseException) -> Failure:
    """The exception as data, causes included.

    Example:
        >>> failure = failure_of(ApplicationError("declined", type="Declined", details={"code": 7}))
        >>> failure.type, failure.message, failure.details
        ('Declined', 'declined', {'code': 7})
    """
    return _failure(exc, _DEPTH_MAX, set())


def exception_of(failure: Failure) -> Exception:
    """The exception, ready to be raised or to be somebody's cause.

    Its class is the user's own where that is loaded here and can be filled in without running
    code; else an `ApplicationError` whose `type` is the class's name. The remote traceback hangs
    on it as a note.
    """
    cause = None if failure.cause is None else exception_of(failure.cause)
    exc = _step(failure, cause) or _own(failure) or _ended(failure) or _application(failure)
    exc.__cause__ = cause
    if isinstance(exc, WorkflowFailed):
        exc.cause = cause
    if failure.traceback:
        exc.add_note(f"{REMOTE}{failure.traceback.rstrip()}")
    return exc


def _failure(exc: BaseException, depth: int, seen: set[int]) -> Failure:
    seen.add(id(exc))
    cls = type(exc)
    beneath = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    cause = None
    if beneath is not None and id(beneath) not in seen and depth > 0:
        cause = _failure(beneath, depth - 1, seen)
    details, notes = _details(exc, depth, seen)
    delay, delay_notes = _next_retry_delay(exc)
    return Failure(
        type=exc.type if isinstance(exc, ApplicationError) else cls.__name__,
        message=_message(exc),
        kind=next((kind for family, kind in _KINDS if isinstance(exc, family)), "application"),
        path=f"{cls.__module__}:{cls.__qualname__}",
        traceback=remote_traceback(exc, [*notes, *delay_notes]),
        # What cannot be written down will not be writable after running its effects again.
        non_retryable=getattr(exc, "non_retryable", False) is True or isinstance(exc, PayloadError),
        next_retry_delay=delay,
        details=details,
        cause=cause,
        name=exc.name if isinstance(exc, StepFailed) else "",
        attempts=exc.attempts if isinstance(exc, StepFailed) else 1,
    )


def _message(exc: BaseException) -> str:
    try:
        return clean(str(exc))
    except Exception as error:  # noqa: BLE001 - a broken __str__ must not hide the failure
        return f"<{type(exc).__name__} whose __str__ raised {type(error).__name__}>"


def _next_retry_delay(exc: BaseException) -> tuple[float | None, list[str]]:
    delay = exc.next_retry_delay if isinstance(exc, ApplicationError) else None
    if delay is None:
        return None, []
    try:
        return seconds(delay), []
    except ConfigurationError as error:
        return None, [f"next_retry_delay was not kept: {error}"]


def _details(exc: BaseException, depth: int, seen: set[int]) -> tuple[Any, list[str]]:
    """What must be kept beside the message, and notes on what could not be."""
    if type(exc) is ApplicationError:
        return _kept("details", exc.details)
    if isinstance(exc, ActivityTimeout):
        return {"kind": exc.kind}, []
    if isinstance(exc, (StepFailed, asyncio.CancelledError)):
        return None, []
    if isinstance(exc, BaseExceptionGroup):
        inner = [
            _failure(one, depth - 1, seen).to_dict()
            for one in exc.exceptions[:_GROUP_MAX]
            if depth > 0
        ]
        left = len(exc.exceptions) - len(inner)
        notes = [f"{left} more exceptions of the group were not kept"] if left else []
        return {"message": clean(exc.message), "exceptions": inner}, notes
    return _arguments(exc)


def _arguments(exc: BaseException) -> tuple[Any, list[str]]:
    """What fills in an exception of any other class: its args and attributes."""
    out: dict[str, Any] = {}
    notes: list[str] = []
    # The file name of an OSError is no part of its args, only of how it is copied.
    args = list(OSError.__reduce__(exc)[1] if isinstance(exc, OSError) else exc.args)
    if args != ([_message(exc)] if _message(exc) else []):
        kept, notes = _kept("args", args)
        if not notes:
            out["args"] = kept
    attributes: dict[str, Any] = {}
    for name, value in vars(exc).items():
        if name == "__notes__" or (value is exc.__cause__ and value is not None):
            continue
        if name == "next_retry_delay" and isinstance(exc, ApplicationError):
            attributes[name], lost = _next_retry_delay(exc)
            continue
        kept, lost = _kept(f"attribute {name!r}", value)
        notes += lost
        if not lost:
            attributes[name] = kept
    if attributes:
        out["attributes"] = attributes
    return out or None, notes


def _kept(what: str, value: Any) -> tuple[Any, list[str]]:
    if plain(value) and _is_storable(value):
        return value, []
    shown = clean(repr(value), 200)
    return None, [f"{what} was not kept, since JSON cannot hold it: {shown}"]


def _is_storable(value: Any) -> bool:
    """Whether all text within is storable: no lone surrogate, no NUL."""
    if isinstance(value, str):
        return clean(value, len(value)) == value
    if isinstance(value, dict):
        return all(_is_storable(key) and _is_storable(item) for key, item in value.items())
    return all(map(_is_storable, value)) if isinstance(value, list) else True


def _step(failure: Failure, cause: Exception | None) -> Exception | None:
    """What a workflow sees of a step that failed, by the kind of the failure."""
    message, name, attempts = failure.message, failure.name, failure.attempts
    if failure.kind == "lost":
        return OutcomeUnknown(message, name=name, attempts=attempts, cause=cause)
    if failure.kind == "activity":
        return ActivityFailed(message, name=name, attempts=attempts, cause=cause)
    if failure.kind == "timeout":
        kind = _record(failure).get("kind", "start_to_close")
        return ActivityTimeout(message, name=name, attempts=attempts, kind=str(kind), cause=cause)
    if failure.kind == "child":
        return ChildFailed(message, name=name, attempts=attempts, cause=cause)
    return None


def _ended(failure: Failure) -> Exception | None:
    """The end of a run, where the failure was written down without an exception to begin with."""
    kinds = {
        "cancelled": WorkflowCancelled, "terminated": WorkflowTerminated, "payload": PayloadError,
    }  # fmt: skip
    return kinds[failure.kind](failure.message) if failure.kind in kinds else None


def _record(failure: Failure) -> dict[str, Any]:
    return failure.details if isinstance(failure.details, dict) else {}


def _own(failure: Failure) -> Exception | None:
    """The user's own class, or None if it is not loaded or would not say the same."""
    cls = _loaded(failure.path)
    if cls is None or cls is ApplicationError:
        return None
    record = _record(failure)
    exc = _grouped(record) if cls is ExceptionGroup else _filled(cls, failure.message, record)
    # The proof that nothing needed is missing: it says what the original said.
    return exc if exc is not None and _message(exc) == failure.message else None


def _loaded(path: str) -> type[Exception] | None:
    module_name, _, qualname = path.partition(":")
    module = sys.modules.get(module_name)
    found: Any = module
    for part in qualname.split("."):
        found = None if found is None else vars(found).get(part)
        if not isinstance(found, type):
            return None
    return found if issubclass(found, Exception) else None


def _filled(cls: type[Exception], message: str, record: dict[str, Any]) -> Exception | None:
    args = record.get("args", [message] if message else [])
    if not _is_builtin(cls, "__new__"):
        return None
    try:
        if _is_builtin(cls, "__init__"):
            exc = cls(*args)
        else:
            exc = cls.__new__(cls, *args)
            exc.args = tuple(args)
        for name, value in record.get("attributes", {}).items():
            object.__setattr__(exc, name, value)
    except (TypeError, ValueError, AttributeError):
        return None
    return exc


def _is_builtin(cls: type[Exception], method: str) -> bool:
    """Whether the method is C code of Python's own, so that calling it runs nothing else."""
    return next(base for base in cls.__mro__ if method in vars(base)).__module__ == "builtins"


def _grouped(record: dict[str, Any]) -> Exception | None:
    inner = [exception_of(Failure.from_dict(one)) for one in record.get("exceptions", [])]
    return ExceptionGroup(str(record.get("message", "")), inner) if inner else None


def _application(failure: Failure) -> ApplicationError:
    details = failure.details
    attributes = _record(failure).get("attributes", {})
    if isinstance(attributes, dict) and "non_retryable" in attributes:
        details = attributes.get("details")  # of a subclass of ApplicationError
    return ApplicationError(
        failure.message,
        type=failure.type,
        non_retryable=failure.non_retryable,
        next_retry_delay=failure.next_retry_delay,
        details=details,
    )
