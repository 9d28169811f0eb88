"""Exceptions as data and back: the user's own class where it is loaded, safe whatever the data."""

import asyncio
import json
import sys
from datetime import timedelta
from typing import Any, Self

import pytest

from durable.codec.adapters import Adapter
from durable.codec.exceptions import exception_of
from durable.codec.failures import failure_of
from durable.errors import (
    ActivityFailed,
    ActivityTimeout,
    ApplicationError,
    ChildFailed,
    InternalError,
    OutcomeUnknown,
    PayloadError,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowTerminated,
)
from durable.protocol.failures import Failure, step_failed

CONSTRUCTED: list[str] = []


class Declined(Exception):
    """An exception with an `__init__` of its own and attributes."""

    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"declined with {code}: {reason}")
        CONSTRUCTED.append("Declined")
        self.code = code
        self.reason = reason


class Spoken(Exception):
    """An exception whose text is made of attributes."""

    def __init__(self, code: int) -> None:
        self.code = code

    def __str__(self) -> str:
        return f"code {self.code}"


class Holding(Exception):
    """An exception that holds what JSON cannot."""

    def __init__(self, message: str, socket: object) -> None:
        super().__init__(message)
        self.socket = socket


class OutOfStock(ApplicationError):
    """A subclass of durable's own."""


class Made(Exception):
    """An exception whose construction runs code."""

    def __new__(cls, *args: Any) -> Self:
        CONSTRUCTED.append("Made")
        return super().__new__(cls, *args)


class Broken(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError


def raised(exc: BaseException) -> BaseException:
    """The exception with a traceback of this file."""
    try:
        raise exc
    except type(exc) as caught:
        return caught


def travelled(exc: BaseException) -> Exception:
    """The exception after a journey through JSON."""
    data = json.loads(json.dumps(failure_of(exc).to_dict()))
    return exception_of(Failure.from_dict(data))


@pytest.mark.parametrize(
    "exc",
    [
        ValueError("no"),
        ValueError(),
        ValueError("a", 2),
        KeyError("k"),
        KeyError(7),
        FileNotFoundError(2, "No such file", "x.txt"),
        ZeroDivisionError("division by zero"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        Declined(51, reason="funds"),
        Spoken(3),
        OutOfStock("none left", details={"sku": "a"}, next_retry_delay=timedelta(minutes=1)),
        json.JSONDecodeError("Expecting value", "x", 0),
        PayloadError("unfit"),
        WorkflowCancelled("asked to", id="w-1"),
        WorkflowTerminated("stopped", id="w-1"),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_classes_that_are_rebuilt(exc: Exception):
    """The same class, saying the same, with the same args and attributes."""
    back = travelled(raised(exc))
    assert str(back) == str(exc)
    assert type(back) is type(exc)
    assert back.args == exc.args
    assert {**vars(back), "__notes__": 0, "next_retry_delay": 0} == {
        **vars(exc), "__notes__": 0, "next_retry_delay": 0,
    }  # fmt: skip


def test_init_is_not_called():
    """Rebuilding runs no code of the user's, neither `__init__` nor `__new__`."""
    failures = [failure_of(Declined(51, reason="funds")), failure_of(Made("made"))]
    CONSTRUCTED.clear()
    declined, made = map(exception_of, failures)
    assert CONSTRUCTED == []
    assert isinstance(declined, Declined)
    assert (declined.code, declined.reason) == (51, "funds")
    assert isinstance(made, ApplicationError)
    assert made.type == "Made"
    assert "an equal Made cannot be made without running its code" in failures[1].traceback


def test_application_errors():
    """Type, message, details and retry advice travel."""
    error = ApplicationError(
        "declined", type="CardDeclined", non_retryable=True, next_retry_delay="2 min", details=[1]
    )
    failure = failure_of(raised(error))
    assert (failure.type, failure.non_retryable) == ("CardDeclined", True)
    assert (failure.next_retry_delay, failure.details) == (120.0, [1])
    back = travelled(error)
    assert isinstance(back, ApplicationError)
    assert (back.type, back.message, back.non_retryable) == ("CardDeclined", "declined", True)
    assert (back.next_retry_delay, back.details) == (120.0, [1])


def test_a_subclass_that_is_not_loaded_here():
    """A subclass of ApplicationError arrives with its own details where its class is unknown."""
    failure = failure_of(OutOfStock("none left", type="Stock", details={"sku": "a"}))
    back = exception_of(Failure.from_dict({**failure.to_dict(), "path": "elsewhere:OutOfStock"}))
    assert type(back) is ApplicationError
    assert (back.type, back.details) == ("Stock", {"sku": "a"})


@pytest.mark.parametrize(
    "path",
    [
        "antigravity:Error",
        "os:system",
        "sys:exit",
        "builtins:KeyboardInterrupt",
        "builtins:int",
        "builtins:ValueError.__init__",
        "durable.codec.failures:exception_of",
        "no such module:X",
        f"{__name__}:travelled.<locals>.X",
        ":",
        "",
        "builtins",
    ],
)
def test_paths_that_lead_nowhere(path: str):
    """Only a loaded class of exceptions is taken; nothing is imported, nothing else is called."""
    before = set(sys.modules)
    back = exception_of(Failure("Strange", "text", path=path, details={"args": [1]}))
    assert type(back) is ApplicationError
    assert (back.type, str(back)) == ("Strange", "text")
    assert set(sys.modules) == before


def test_a_failure_that_does_not_fit_its_class():
    """Data that would make the class say something else gives an ApplicationError."""
    for details in (
        {"args": ["other"]},
        {"args": 5},
        {"args": [1, 2]},
        {"attributes": {"args": 5}},
    ):
        back = exception_of(
            Failure("ValueError", "text", path="builtins:ValueError", details=details)
        )
        assert str(back) == "text"


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (ValueError(), "application"),
        (ActivityFailed("x", name="charge", attempts=3), "activity"),
        (ActivityTimeout("x", name="charge", kind="heartbeat"), "timeout"),
        (ChildFailed("x", name="ship"), "child"),
        (WorkflowCancelled("x"), "cancelled"),
        (asyncio.CancelledError("x"), "cancelled"),
        (WorkflowTerminated("x"), "terminated"),
        (PayloadError("x"), "payload"),
    ],
)
def test_kinds(exc: BaseException, kind: str):
    """Each family has its kind, and comes back as that family."""
    assert failure_of(exc).kind == kind
    back = travelled(exc)
    expected = WorkflowCancelled if isinstance(exc, asyncio.CancelledError) else type(exc)
    assert type(back) is expected


def test_steps_that_failed():
    """Name, attempts, kind of timeout and cause of a failed step travel."""
    cause = Declined(51, reason="funds")
    back = travelled(
        ActivityTimeout("late", name="charge", attempts=3, kind="heartbeat", cause=cause)
    )
    assert isinstance(back, ActivityTimeout)
    assert (back.name, back.attempts, back.kind) == ("charge", 3, "heartbeat")
    assert isinstance(back.cause, Declined)
    assert back.__cause__ is back.cause


def test_the_cause_of_a_failed_workflow():
    """`WorkflowFailed.cause` is there after the journey, as is its id."""
    back = travelled(WorkflowFailed("bad end", id="w-1", cause=Spoken(3)))
    assert isinstance(back, WorkflowFailed)
    assert back.id == "w-1"
    assert isinstance(back.cause, Spoken)


def test_payload_errors_are_not_retried():
    """What cannot be written down is not tried again: its effects have happened."""
    assert failure_of(PayloadError("unfit")).non_retryable


def test_causes():
    """Causes and contexts are kept, a suppressed context is not, and a circle ends."""
    try:
        try:
            {}["inner"]
        except KeyError:
            raise ValueError("outer")  # noqa: B904 - the context is the point
    except ValueError as error:
        implicit = error
    assert isinstance(travelled(implicit).__cause__, KeyError)
    implicit.__suppress_context__ = True
    assert failure_of(implicit).cause is None
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    failure = failure_of(one)
    assert failure.cause is not None
    assert failure.cause.cause is None
    deep: Exception = ValueError("0")
    for number in range(1, 200):
        above = ValueError(str(number))
        above.__cause__, deep = deep, above
    assert str(travelled(deep)) == "199"


def test_groups():
    """A group, as a TaskGroup raises it, comes back with its members and their causes."""
    group = ExceptionGroup("two", [Spoken(1), ExceptionGroup("in", [ValueError("v")])])
    back = travelled(raised(group))
    assert isinstance(back, ExceptionGroup)
    assert str(back) == str(group)
    first, second = back.exceptions
    assert isinstance(first, Spoken)
    assert isinstance(second, ExceptionGroup)
    assert str(second.exceptions[0]) == "v"


def test_what_json_cannot_hold_is_named():
    """What cannot be kept, be it attribute, detail or delay, is named in the traceback."""
    failure = failure_of(Holding("broken pipe", object()))
    assert "attribute 'socket' was not kept" in failure.traceback
    back = exception_of(failure)
    assert type(back) is ApplicationError
    assert back.type == "Holding"
    assert back.details == {"lost": ["socket"]}
    assert "attribute 'socket'" in back.__notes__[0]
    assert "details was not kept" in failure_of(ApplicationError("x", details=(1,))).traceback
    bad = failure_of(ApplicationError("x", next_retry_delay="soon"))
    assert "next_retry_delay was not kept" in bad.traceback
    assert bad.next_retry_delay is None


def test_tracebacks_show_the_users_code():
    """The remote traceback has the user's frames, hangs on as a note, and does not pile up."""

    async def failing() -> None:
        raise Declined(51, reason="funds")

    async def main() -> None:
        await asyncio.gather(failing())

    with pytest.raises(Declined) as caught:
        asyncio.run(main())
    failure = failure_of(caught.value)
    assert 'raise Declined(51, reason="funds")' in failure.traceback
    assert "Declined: declined with 51: funds" in failure.traceback
    assert "asyncio/runners.py" not in failure.traceback
    back = exception_of(failure)
    assert back.__notes__ == [f"\nRemote traceback:\n{failure.traceback.rstrip()}"]
    again = failure_of(exception_of(failure_of(back)))
    assert again.traceback.rstrip() == failure.traceback.rstrip()


def test_tracebacks_do_not_show_how_durable_came_to_raise():
    """An error that means its caller shows no frames of durable's; one that is a bug does."""
    with pytest.raises(PayloadError) as refused:
        Adapter(int).encode("x")
    ours = refused.traceback[-1]._rawentry
    failure = failure_of(refused.value.with_traceback(ours))
    assert "durable/" not in failure.traceback
    assert "Traceback" not in failure.traceback
    assert "Input should be a valid integer" in failure.traceback
    bug = InternalError("what cannot be").with_traceback(ours)
    assert "codec/adapters.py" in failure_of(bug).traceback


def test_text_that_postgres_cannot_hold():
    """NUL and lone surrogates are spelled out; long texts are cut, and say so."""
    failure = failure_of(ValueError("a\x00b\ud800"))
    assert failure.message == r"a\x00b\ud800"
    assert failure_of(ValueError("x" * 10**6)).message.endswith("more characters)")
    assert len(failure_of(ValueError("x" * 10**6)).traceback) < 30_000
    assert "\x00" not in json.dumps(failure.to_dict())
    assert "\\u0000" not in json.dumps(failure.to_dict())
    assert "\\u0000" not in failure_of(ApplicationError("x", details="\x00")).to_json()


def test_a_broken_str():
    """An exception that cannot be shown is still written down."""
    failure = failure_of(raised(Broken("x")))
    assert failure.type == "Broken"
    assert "RuntimeError" in failure.message


def test_exceptions_that_are_no_errors():
    """What stops a process becomes an ApplicationError that names it."""
    for exc in (KeyboardInterrupt("stop"), SystemExit(3), GeneratorExit()):
        back = travelled(exc)
        assert type(back) is ApplicationError
        assert back.type == type(exc).__name__


def test_an_unknown_outcome_is_a_class_of_its_own():
    """What a lost attempt left comes as `OutcomeUnknown`, wherever it is passed on."""
    lost = Failure("OutcomeUnknown", "it was lost", "lost")
    raised = exception_of(step_failed("activity", "charge", 3, lost))
    assert isinstance(raised, OutcomeUnknown)
    assert (raised.name, raised.attempts) == ("charge", 3)
    again = exception_of(failure_of(raised))
    assert type(again) is OutcomeUnknown
    assert (again.name, again.attempts) == ("charge", 3)


@pytest.mark.parametrize("given", [{}, {"type": "card"}])
def test_a_class_derived_from_application_error_gives_its_name_as_type(given: dict[str, Any]):
    """In logs, to policies, and where the class is not loaded; a type that was given stays."""

    class CardDeclined(ApplicationError):
        pass

    failure = failure_of(CardDeclined("no", **given))
    assert failure.type == given.get("type", "CardDeclined")
    assert ApplicationError("no").type == "ApplicationError"
    back = exception_of(failure)
    assert type(back) is ApplicationError
    assert back.type == given.get("type", "CardDeclined")
