"""Exceptions from data.

An exception is rebuilt as the user's own class only if that class is already loaded here. Nothing
is ever imported: an `except` clause can only name a class whose module is loaded, so an import
would serve no caller, and would let writers to the database choose a module to run.
No code of the class is run but its `__str__`, which must say what the original said: neither
`__init__` nor `__new__`, `__setattr__`, `__set__` or `add_note`. What they set comes back as it
was.

Whole or not at all: where `failure_of` found that something would be missing, or anything goes
wrong here, the exception comes as an `ApplicationError` that holds what was kept.
"""

from __future__ import annotations

from typing import Any

from durable.codec import inspection
from durable.codec.tagged_values import Reader, loaded, readable
from durable.codec.tracebacks import REMOTE
from durable.errors import (
    ActivityFailed,
    ActivityTimeout,
    ApplicationError,
    ChildFailed,
    OutcomeUnknown,
    PayloadError,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowTerminated,
)
from durable.protocol.failures import Failure

CAUSE = "$cause"
"""Stands for the exception's own cause or context where an attribute holds it, too."""


def exception_of(failure: Failure) -> Exception:
    """The exception, ready to be raised or to be somebody's cause.

    Its class is the user's own where that is loaded here and can be filled in as it was; else an
    `ApplicationError` whose `type` is the class's name. The remote traceback hangs on it as a note.
    """
    cause = None if failure.cause is None else exception_of(failure.cause)
    made = (make(failure, cause) for make in (_step, own, _ended, _application))
    exc = next(one for one in made if one is not None)  # `or` would ask its `__bool__`
    inspection.set_cause(exc, cause)
    if issubclass(type(exc), WorkflowFailed):
        inspection.dict_of(exc)["cause"] = cause
    if failure.traceback:
        inspection.add_note(exc, f"{REMOTE}{failure.traceback.rstrip()}")
    return exc


def own(failure: Failure, cause: BaseException | None = None) -> Exception | None:
    """The user's own class, or None if it is not loaded or would not be what it was."""
    cls = loaded(failure.path)
    record = _record(failure)
    if cls is None or not issubclass(cls, Exception) or cls is ApplicationError:
        return None
    # A class that hides what Python keeps in each exception could not even be printed.
    if record.get("lost") or inspection.is_tampered_with(cls):
        return None
    try:
        if issubclass(cls, ExceptionGroup):
            exc = _grouped(cls, record)
        else:
            exc = filled(cls, failure.message, record, cause)
    except Exception:  # noqa: BLE001 - data that does not fit: `_application` says the same
        return None
    # The proof that nothing needed is missing: it says what the original said.
    return exc if exc is not None and inspection.text_of(exc) == failure.message else None


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


def _ended(failure: Failure, _cause: Exception | None) -> Exception | None:
    """The end of a run, where the failure was written down without an exception to begin with."""
    kinds = {
        "cancelled": WorkflowCancelled, "terminated": WorkflowTerminated, "payload": PayloadError,
    }  # fmt: skip
    return kinds[failure.kind](failure.message) if failure.kind in kinds else None


def _record(failure: Failure) -> dict[str, Any]:
    return failure.details if isinstance(failure.details, dict) else {}


def filled(
    cls: type[Exception], message: str, record: dict[str, Any], cause: BaseException | None
) -> Exception | None:
    """An exception of the class as the record has it; None if only its own code could make one.

    Raises whatever C code has to say of arguments that do not fit.
    """
    read = _reader(record, cause)
    args = read(record.get("args", [message] if message else []))
    exc = _made(cls, args, bare=bool(record.get("bare")))
    if exc is None:
        return None
    attributes = inspection.dict_of(exc)
    attributes.clear()  # what C code of other packages may have put there
    attributes.update(read(record.get("attributes", {})))
    for name, value in record.get("fields", {}).items():
        inspection.set_field(exc, name, read(value))
    return exc


def _made(cls: type[Exception], args: list[Any], *, bare: bool) -> Exception | None:
    """A new one, by C code of Python's own alone; None if the class has more to say."""
    maker = _definer(cls, "__new__")
    if maker not in inspection.BUILTIN:
        return None
    exc: Exception = maker.__new__(cls, *args)
    if type(exc) is not cls:  # OSError(2, …) makes a FileNotFoundError
        return None
    if bare:  # its `__init__` did not call that of Python's class
        inspection.set_args(exc, args)
        return exc
    starter = next(base for base in inspection.bases_of(cls) if base in inspection.BUILTIN)
    starter.__init__(exc, *args)
    return exc


def _definer(cls: type, method: str) -> type:
    return next(base for base in inspection.bases_of(cls) if method in inspection.names_in(base))


def _grouped(cls: type[Exception], record: dict[str, Any]) -> Exception | None:
    maker: Any = ExceptionGroup.__new__
    inner = [exception_of(Failure.from_dict(one)) for one in record.get("exceptions", [])]
    if not inner or any(
        _definer(cls, name) not in inspection.BUILTIN for name in ("__new__", "__init__")
    ):
        return None
    exc: Exception = maker(cls, str(record.get("message", "")), inner)
    inspection.dict_of(exc).update(_reader(record, None)(record.get("attributes", {})))
    return exc


def _reader(record: dict[str, Any], cause: BaseException | None) -> Any:
    def error(form: Any) -> BaseException:
        if cause is not None and form == CAUSE:
            return cause
        found: dict[str, Any] = form
        return exception_of(Failure.from_dict(found))

    # Records of earlier releases hold no tags, and any keys.
    return Reader(error).read if record.get("tagged") else lambda form: form


def _application(failure: Failure, _cause: Exception | None) -> ApplicationError:
    details = failure.details
    record = _record(failure)
    attributes = record.get("attributes", {})
    if isinstance(attributes, dict) and "non_retryable" in attributes:
        details = attributes.get("details")  # of a subclass of ApplicationError
    elif record.get("lost") or record.get("tagged"):
        details = {key: value for key, value in record.items() if key != "tagged"}
    return ApplicationError(
        failure.message,
        type=failure.type,
        non_retryable=failure.non_retryable,
        next_retry_delay=failure.next_retry_delay,
        details=readable(details) if record.get("tagged") else details,
    )
