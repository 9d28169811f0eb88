"""Exceptions as data: `failure_of` takes any exception and always answers.

Whatever its class does, and however many causes and members it has, what is written is bounded.
Whether it can be rebuilt whole is found out here, where the original is at hand: it is rebuilt and
compared, and what would be missing is named, so that `exception_of` does not try.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

from durable.codec import inspection
from durable.codec.exceptions import CAUSE, filled, own
from durable.codec.tagged_values import Budget, NotKept, Writer, json_keeps, loaded
from durable.codec.tracebacks import remote_traceback
from durable.errors import (
    ActivityFailed,
    ActivityTimeout,
    ApplicationError,
    ChildFailed,
    ConfigurationError,
    DurableError,
    OutcomeUnknown,
    PayloadError,
    StepFailed,
    WorkflowCancelled,
    WorkflowTerminated,
)
from durable.protocol.durations import seconds
from durable.protocol.failures import Failure

_DEPTH_MAX = 20  # causes of causes and members of members; a longer chain says no more
_CHAIN_MAX = 100_000  # causes that are looked at
_COUNT_MAX = 500  # exceptions of one failure
_TRACEBACKS_MAX = 512 * 1024  # characters of all of them
_DETAILS_MAX = 64 * 1024 * 1024  # characters of `ApplicationError.details`
_SHORT_MAX = 200  # characters of what comes once there is too much

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
    """The exception as data, causes and members included. Raises nothing.

    Example:
        >>> failure = failure_of(ApplicationError("declined", type="Declined", details={"code": 7}))
        >>> failure.type, failure.message, failure.details
        ('Declined', 'declined', {'code': 7})
    """
    try:
        return _Conversion().failure(exc)
    except BaseException as error:  # noqa: BLE001 - memory or stack may be at an end: say that much
        name = inspection.name_of(type(exc))
        return Failure(
            name,
            f"{name}, which could not be written down: {inspection.name_of(type(error))}",
            path=inspection.path_of(type(exc)),
        )


class _Conversion:
    """One exception and all that hangs on it; bounded as a whole."""

    def __init__(self) -> None:
        self._budget = Budget()
        self._count = 0
        self._text = _TRACEBACKS_MAX
        self._open: list[BaseException] = []  # on the way here: members and causes run in circles

    def failure(self, exc: BaseException, depth: int = _DEPTH_MAX) -> Failure:
        """The exception with its causes."""
        chain, left_out = self._chain(exc, depth)
        self._open += chain
        failure = None
        for place in range(len(chain) - 1, -1, -1):
            notes = []
            if left_out and place == len(chain) * 3 // 4 - 1:
                notes = [f"{left_out} causes between this one and the next were left out"]
            failure = self._one(chain[place], failure, depth - place, notes)
        del self._open[len(self._open) - len(chain) :]
        if failure is None:
            raise AssertionError("a chain begins with the exception itself")
        return failure

    def _chain(self, exc: BaseException, depth: int) -> tuple[list[BaseException], int]:
        """The exception and its causes: the outermost and the innermost, if there are too many."""
        known = {id(one) for one in self._open}
        chain = [exc]
        for beneath in itertools.islice(_beneath(exc), _CHAIN_MAX):
            if id(beneath) in known or beneath is exc:
                break
            known.add(id(beneath))
            chain.append(beneath)
        longest = max(1, depth)
        if len(chain) <= longest:
            return chain, 0
        first = max(1, longest * 3 // 4)
        last = longest - first
        return [*chain[:first], *chain[len(chain) - last :]], len(chain) - longest

    def _one(
        self, exc: BaseException, cause: Failure | None, depth: int, notes: list[str]
    ) -> Failure:
        self._count += 1
        cls = type(exc)
        delay, delay_notes = _next_retry_delay(exc)
        members, left = self._members(exc, depth)
        reasons = [*members, *([cause] if cause and inspection.state_of(exc, "__cause__") else [])]
        failure = Failure(
            type=_type(exc),
            message=self._fitting(inspection.text_of(exc)),
            kind=next((kind for family, kind in _KINDS if issubclass(cls, family)), "application"),
            path=inspection.path_of(cls),
            # What cannot be written down will not be writable after running its effects again.
            non_retryable=inspection.attribute(exc, "non_retryable") is True
            or issubclass(cls, PayloadError)
            or any(reason.non_retryable for reason in reasons),
            next_retry_delay=delay,
            cause=cause,
            name=_of_type(str, exc, "name", "") if issubclass(cls, StepFailed) else "",
            attempts=_of_type(int, exc, "attempts", 1) if issubclass(cls, StepFailed) else 1,
            ancestry=_ancestry(cls, reasons),
        )
        details, lost = self._details(exc, failure, depth, members, left)
        text = self._fitting(remote_traceback(exc, [*lost, *delay_notes, *notes]))
        return dataclasses.replace(failure, details=details, traceback=text)

    def _fitting(self, text: str) -> str:
        """The text, or its end once there is too much of all."""
        text = text if len(text) <= max(self._text, _SHORT_MAX) else f"…{text[-_SHORT_MAX:]}"
        self._text -= len(text)
        return text

    def _members(self, exc: BaseException, depth: int) -> tuple[list[Failure], int]:
        """Those of a group, as far as there is room; and how many there was no room for."""
        if not issubclass(type(exc), BaseExceptionGroup):
            return [], 0
        members = inspection.fields_of(exc).get("exceptions", ())
        found: list[Failure] = []
        for member in members:
            is_open = any(member is one for one in self._open)
            if depth > 1 and self._count < _COUNT_MAX and not is_open:
                found.append(self.failure(member, depth - 1))
        return found, len(members) - len(found)

    def _details(
        self, exc: BaseException, failure: Failure, depth: int, members: list[Failure], left: int
    ) -> tuple[Any, list[str]]:
        """What must be kept beside the message, and notes on what could not be."""
        cls = type(exc)
        if cls is ApplicationError:
            return _application_details(inspection.attribute(exc, "details"))
        if issubclass(cls, ActivityTimeout):
            return {"kind": _of_type(str, exc, "kind", "start_to_close")}, []
        if issubclass(cls, (StepFailed, asyncio.CancelledError)):
            return None, []
        record = _Record(self, exc, failure, depth)
        if members or left:
            message = inspection.fields_of(exc).get("message")
            record.group(message, [member.to_dict() for member in members], left)
        return record.written()

    def writer(self, exc: BaseException, cause: Failure | None, depth: int) -> Writer:
        """Writes the values of this exception; those within that are exceptions too."""

        def error(value: BaseException) -> Any:
            is_cause = cause is not None and value is next(_beneath(exc), None)
            if not is_cause and (depth <= 1 or self._count >= _COUNT_MAX):
                raise NotKept(inspection.shown(value))
            if not is_cause and any(value is one for one in self._open):
                raise NotKept(inspection.shown(value))
            failure = cause if is_cause and cause else self.failure(value, depth - 1)
            if own(failure, next(_beneath(value), None)) is None and not _is_ours(exc):
                raise NotKept(inspection.shown(value))
            return CAUSE if is_cause else failure.to_dict()

        return Writer(error, self._budget)


class _Record:
    """What fills in an exception: its args, attributes and fields; and what of them is lost."""

    def __init__(
        self, conversion: _Conversion, exc: BaseException, failure: Failure, depth: int
    ) -> None:
        self._exc = exc
        self._failure = failure
        self._cause: BaseException | None = next(_beneath(exc), None)
        self._writer = conversion.writer(exc, failure.cause, depth)
        self._record: dict[str, Any] = {}
        self._lost: list[str] = []
        self._notes: list[str] = []
        self._is_group = False

    def group(self, message: Any, members: list[dict[str, Any]], left: int) -> None:
        """A group's message and members stand for its args."""
        self._is_group = True
        self._record["message"] = inspection.cleaned(message)
        self._record["exceptions"] = members
        if left:
            self._lose("exceptions", f"{left} more exceptions of the group were not kept")

    def written(self) -> tuple[dict[str, Any] | None, list[str]]:
        """The record and the notes."""
        if not self._is_group:
            self._args()
        attributes = {}
        for name, value in list(inspection.dict_of(self._exc).items()):
            if name == "__notes__":
                continue
            kept, form = self._write(f"attribute {inspection.shown(name)}", name, value)
            if kept:
                attributes[name] = form
        if attributes:
            self._record["attributes"] = attributes
        self._mark()
        if not self._lost and issubclass(type(self._exc), Exception):
            self._compare()
            self._mark()
        return self._record or None, self._notes

    def _args(self) -> None:
        exc: Any = self._exc
        message = self._failure.message
        # The file name of an OSError is not part of its args, only of how it is copied.
        is_os = issubclass(type(exc), OSError)
        args = list(OSError.__reduce__(exc)[1] if is_os else inspection.state_of(exc, "args"))
        if len(args) == 1 and type(args[0]) is str and args[0] == message and message:
            return
        if args or message:
            kept, form = self._write("args", "args", args)
            if kept:
                self._record["args"] = form

    def _compare(self) -> None:
        """Rebuild it, and note what is not as it was."""
        cls = type(self._exc)
        if self._is_group and cls is ExceptionGroup:
            return
        if loaded(self._failure.path) is not cls:
            self._lose("class", f"its class is not found as {self._failure.path}")
            return
        if inspection.is_tampered_with(cls) or not (self._tries() or self._tries(bare=True)):
            self._record.pop("bare", None)
            note = f"an equal {inspection.name_of(cls)} cannot be made without running its code"
            self._lose("class", note)

    def _tries(self, *, bare: bool = False) -> bool:
        """Rebuild it, put what differs into the record, and rebuild it once more to see.

        `bare`: without the `__init__` of Python's own class, which not every class calls.
        """
        self._record.pop("fields", None)
        self._record.update({"bare": True} if bare else {})
        twin = self._twin()
        if twin is None:
            return False
        fields = inspection.fields_of(twin)
        for name, value in inspection.fields_of(self._exc).items():
            if self._is_group and name in ("message", "exceptions"):
                continue
            kept, form = self._write(f"field {name!r}", name, value)
            if kept and (name not in fields or not self._is(form, fields[name])):
                self._record.setdefault("fields", {})[name] = form
        self._mark()
        return bool(self._lost) or self._is_whole()

    def _twin(self) -> Exception | None:
        if self._is_group:
            return self._own()
        cls: Any = type(self._exc)
        try:
            return filled(cls, self._failure.message, self._record, self._cause)
        except Exception:  # noqa: BLE001 - C code that does not take these arguments
            return None

    def _own(self) -> Exception | None:
        return own(dataclasses.replace(self._failure, details=self._record), self._cause)

    def _is_whole(self) -> bool:
        twin = self._own()
        if twin is None or self._is_group:
            return twin is not None
        try:
            form = self._writer.write(list(inspection.state_of(self._exc, "args")))
            return self._is(form, list(inspection.state_of(twin, "args")))
        except NotKept:
            return False

    def _is(self, form: Any, value: Any) -> bool:
        """Whether a value has this form: compared without asking the value."""
        try:
            return repr(self._writer.write(value)) == repr(form)
        except NotKept:
            return False

    def _write(self, what: str, name: Any, value: Any) -> tuple[bool, Any]:
        try:
            if type(name) is str and json_keeps(name, Budget()):
                return True, self._writer.write(value)
            why = inspection.shown(value)
        except NotKept as error:
            why = str(error)
        except BaseException as error:  # noqa: BLE001 - code of the value's class, such as a metaclass
            why = f"{inspection.shown(value)} ({inspection.name_of(type(error))})"
        self._lose(
            inspection.cleaned(name), f"{what} was not kept, since JSON cannot hold it: {why}"
        )
        return False, None

    def _lose(self, name: str, note: str) -> None:
        self._lost.append(name)
        self._notes.append(note)

    def _mark(self) -> None:
        if self._writer.tagged:
            self._record["tagged"] = True
        if self._lost:
            self._record["lost"] = self._lost


def _beneath(exc: BaseException) -> Iterator[BaseException]:
    """The causes, as tracebacks show them."""
    while True:
        cause = inspection.state_of(exc, "__cause__")
        if cause is None and not inspection.state_of(exc, "__suppress_context__"):
            cause = inspection.state_of(exc, "__context__")
        if cause is None:
            return
        yield cause
        exc = cause


def _ancestry(cls: type, reasons: list[Failure]) -> tuple[str, ...]:
    own_bases = [inspection.path_of(base) for base in inspection.bases_of(cls)[:-1]]
    beneath = [name for reason in reasons for name in (reason.type, *reason.ancestry)]
    return tuple(dict.fromkeys([*own_bases, *beneath]))


def _type(exc: BaseException) -> str:
    if issubclass(type(exc), ApplicationError):
        given = inspection.attribute(exc, "type")
        if issubclass(type(given), type):
            return inspection.name_of(given)
        if given is not None:
            return inspection.cleaned(given)
    return inspection.name_of(type(exc))


def _of_type(kind: type, exc: BaseException, name: str, default: Any) -> Any:
    found = inspection.attribute(exc, name)
    if type(found) is not kind:
        return default
    return inspection.cleaned(found) if kind is str else found


def _is_ours(exc: BaseException) -> bool:
    """Whether its class is one of ours, which say of their causes that they may be stand-ins."""
    cls = type(exc)
    return issubclass(cls, DurableError) and inspection.path_of(cls).startswith("durable.")


def _next_retry_delay(exc: BaseException) -> tuple[float | None, list[str]]:
    is_ours = issubclass(type(exc), ApplicationError)
    delay = inspection.attribute(exc, "next_retry_delay") if is_ours else None
    if delay is None:
        return None, []
    try:
        return seconds(delay), []
    except ConfigurationError as error:
        return None, [f"next_retry_delay was not kept: {inspection.text_of(error)}"]
    except BaseException as error:  # noqa: BLE001 - a number of a class of the user's
        name = inspection.name_of(type(error))
        return None, [f"next_retry_delay was not kept: {inspection.shown(delay)} raised {name}"]


def _application_details(details: Any) -> tuple[Any, list[str]]:
    why = "JSON cannot hold it"
    try:
        if json_keeps(details, Budget(_DETAILS_MAX)):
            return details, []
    except NotKept as error:
        why = f"it is {error}"
    return None, [f"details was not kept, since {why}: {inspection.shown(details)}"]
