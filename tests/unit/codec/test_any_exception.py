"""Failure conversion is total: whatever a class does, and however much hangs on an exception."""

import contextlib
import dataclasses
import datetime as dt
import enum
import json
import pathlib
import sys
import traceback
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from durable.codec.exceptions import exception_of
from durable.codec.failures import failure_of
from durable.errors import ApplicationError, WorkflowFailed
from durable.protocol.failures import Failure
from durable.runtime.user_code import code_failure, code_fault


class Wild(BaseException):
    """What user code raises where nobody expects it: not even an `Exception`."""


class Severity(enum.Enum):
    """An enum of the user's."""

    HIGH = "high"


def wild(*_args: Any, **_kwargs: Any) -> Any:
    """Raise it, whatever is asked."""
    raise Wild


def made(body: dict[str, Any], /, *, metaclass: type = type, **attributes: Any) -> Exception:
    """An exception of a class with this body, known by its name in this module."""
    cls: Any = metaclass("Hostile", (Exception,), {"__module__": __name__, **body})
    sys.modules[__name__].Hostile = cls
    exc: Exception = Exception.__new__(cls, "text")
    BaseException.__dict__["__dict__"].__get__(exc).update(attributes)
    return exc


class Lying(type):
    """A metaclass that answers nothing."""

    def __getattribute__(cls, name: str) -> Any:
        raise Wild

    def __instancecheck__(cls, instance: object) -> bool:
        raise Wild

    def __subclasscheck__(cls, subclass: type) -> bool:
        raise Wild


class Refusing:
    """A descriptor that is set once."""

    def __set__(self, instance: object, value: object) -> None:
        raise Wild

    def __get__(self, instance: object, owner: type | None = None) -> int:
        return 1


class Unshowable:
    """A value that cannot be shown, compared or hashed."""

    __repr__ = __eq__ = __hash__ = __bool__ = wild


class Text(str):
    """Text with ideas of its own."""

    __slots__ = ()
    encode = __len__ = __eq__ = __hash__ = wild  # type: ignore[assignment]


def circular() -> list[Any]:
    """A list within itself, and a dict too."""
    out: list[Any] = [{}]
    out[0]["again"] = out
    return out


def doubled(times: int) -> list[Any]:
    """A small graph that stands for 2 ** times lists."""
    out: list[Any] = []
    for _ in range(times):
        out = [out, out]
    return out


def recursive(self: Any, *_args: Any) -> str:
    """Never come to an end."""
    return str(self)


HOSTILE: dict[str, Callable[[], Exception]] = {
    "str": lambda: made({"__str__": wild}),
    "str that exits": lambda: made({"__str__": lambda _: sys.exit(3)}),
    "str that is none": lambda: made({"__str__": lambda _: 5}),
    "str with methods": lambda: made({"__str__": lambda _: Text("text")}),
    "str without end": lambda: made({"__str__": recursive}),
    "str of a gigabyte": lambda: made({"__str__": lambda _: "x" * 10**7}),
    "repr": lambda: made({"__repr__": wild}),
    "getattr": lambda: made({"__getattr__": wild}),
    "getattr of a key": lambda: made({"__getattr__": lambda self, n: vars(self)["inner"][n]}),
    "getattribute": lambda: made({"__getattribute__": wild}),
    "setattr": lambda: made({"__setattr__": wild}, code=1),
    "descriptor": lambda: made({"code": Refusing()}, code=5),
    "property": lambda: made({"code": property(wild)}, code=5),
    "init": lambda: made({"__init__": wild}, code=5),
    "new": lambda: made({"__new__": wild}, code=5),
    "add_note": lambda: made({"add_note": wild}),
    "notes": lambda: made({}, __notes__=5),
    "notes of anything": lambda: made({}, __notes__=[Unshowable(), "fine"]),
    "class": lambda: made({"__class__": property(wild)}),
    "module": lambda: made({"__module__": 5}),
    "qualname": lambda: made({"__qualname__": "a\x00\ud800"}),
    "reduce": lambda: made({"__reduce__": wild, "__reduce_ex__": wild, "__getstate__": wild}),
    "cause": lambda: made({"__cause__": property(wild), "__context__": property(wild)}),
    "args": lambda: made({"args": property(wild)}),
    "traceback": lambda: made({"__traceback__": property(wild)}),
    "dict": lambda: made({"__dict__": property(wild)}, code=5),
    "advice": lambda: made({"non_retryable": property(wild), "next_retry_delay": property(wild)}),
    "eq": lambda: made({"__eq__": wild, "__hash__": wild}),
    "bool": lambda: made({"__bool__": wild}),
    "metaclass": lambda: made({}, metaclass=Lying, code=5),
    "unshowable": lambda: made({}, value=Unshowable()),
    "text": lambda: made({}, value=Text("x")),
    "circle": lambda: made({}, value=circular()),
    "many": lambda: made({}, value=doubled(200)),
    "large": lambda: made({}, body="y" * 3_000_000),
    "odd names": lambda: made({}, **{"\x00": 1, "\ud800": 2, "$tuple": 3, "": 4}),
    "odd application error": lambda: ApplicationError(
        Text("text"),
        type=Unshowable(),
        details=Unshowable(),
        next_retry_delay=Unshowable(),  # type: ignore[arg-type]
    ),
    "details of many": lambda: ApplicationError("text", details=doubled(200)),
    "details of more": lambda: ApplicationError("text", details=doubled(60)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_class_breaks_the_conversion(kind: str):
    """Written, read and shown, as itself with all attributes or as an ApplicationError."""
    exc = HOSTILE[kind]()
    with contextlib.suppress(Exception, Wild):  # it has a traceback now, where Python can raise it
        raise exc
    failure = failure_of(exc)
    back = exception_of(Failure.from_dict(json.loads(failure.to_json())))
    assert len(failure.to_json()) < 1_000_000
    assert b"\x00" not in json.dumps(failure.to_dict(), ensure_ascii=False).encode()
    if type(back) is not ApplicationError:
        attributes = BaseException.__dict__["__dict__"]
        assert type(back) is type(exc)
        was = {k: v for k, v in attributes.__get__(exc).items() if k != "__notes__"}
        now = {k: v for k, v in attributes.__get__(back).items() if k != "__notes__"}
        assert now == was
        assert BaseException.__dict__["args"].__get__(back) == ("text",)
    else:
        assert back.type == failure.type
        assert "Remote traceback" in back.__notes__[-1]
        again = exception_of(failure_of(back))
        assert (again.type, str(again)) == (back.type, str(back))  # type: ignore[attr-defined]
    if kind != "bool":  # which Python's own printing asks for
        traceback.format_exception(back)


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_class_breaks_a_worker_of_graphs(kind: str):
    """What a callback raised becomes the fault of its message, whatever its class does."""
    error = HOSTILE[kind]()
    fault = code_fault(error, code_failure(error), "j-1")
    assert fault.code in (500, 5, 1)
    assert "Hostile" in fault.stack or "ApplicationError" in fault.stack or "text" in fault.stack
    json.dumps(dataclasses.asdict(fault), ensure_ascii=False).encode()


def test_where_a_class_is_harmless_it_is_rebuilt():
    """What only refuses to be set, noted or constructed comes back whole, untouched by that."""
    for kind in ("setattr", "descriptor", "property", "init", "add_note", "repr", "reduce", "eq"):
        exc = HOSTILE[kind]()
        back = exception_of(failure_of(exc))
        assert type(back) is type(exc), kind


class Slotted(Exception):
    """An exception that keeps its attributes elsewhere."""

    __slots__ = ("code", "unset")

    def __init__(self, code: int) -> None:
        super().__init__("slotted")
        self.code = code


class Rich(Exception):
    """An exception that holds many kinds of values."""

    def __init__(self, **values: Any) -> None:
        super().__init__("rich")
        vars(self).update(values)


class Missing(FileNotFoundError):
    """A builtin with fields of its own, and an `__init__` that takes something else."""

    def __init__(self, name: str) -> None:
        super().__init__(2, "no such thing", name)
        self.name = name


@dataclasses.dataclass
class Data(Exception):
    """A dataclass that is raised."""

    code: int
    why: str


class Pair(ExceptionGroup[Exception]):
    """A group of the user's."""


def test_what_is_kept_comes_back_as_it_was():
    """Slots, C fields and values beyond JSON have their exact types and values again."""
    values = {
        "at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "day": dt.date(2026, 1, 1),
        "left": dt.timedelta(seconds=-1.5), "price": Decimal("1.50"), "key": uuid.uuid4(),
        "severity": Severity.HIGH, "ids": (1, [2, {3}]), "body": b"\xff\x00", "none": None,
        "file": pathlib.Path("a/b"), "odd": "\x00\ud800", "nan": float("inf"), "big": 10**40,
        "by_id": {1: "a", (2, 3): "b"}, "dollar": {"$tuple": [1]}, "inner": KeyError("k"),
    }  # fmt: skip
    back = travelled(Rich(**values))
    assert isinstance(back, Rich)
    got = {name: value for name, value in vars(back).items() if name != "__notes__"}
    assert isinstance(got.pop("inner"), KeyError)
    del values["inner"]
    assert got == values
    assert {n: type(v) for n, v in got.items()} == {n: type(v) for n, v in values.items()}
    slotted = travelled(Slotted(7))
    assert isinstance(slotted, Slotted)
    assert (slotted.code, hasattr(slotted, "unset")) == (7, False)
    missing = travelled(Missing("x.txt"))
    assert isinstance(missing, Missing)
    assert (missing.errno, missing.filename, missing.name) == (2, "x.txt", "x.txt")
    assert missing.args == Missing("x.txt").args
    data = travelled(Data(4, "because"))
    assert data == Data(4, "because")
    pair = travelled(Pair("two", [ValueError("v"), Data(1, "t")]))
    assert isinstance(pair, Pair)
    assert str(pair) == "two (2 sub-exceptions)"


def test_what_is_not_whole_says_what_was_kept():
    """An ApplicationError with type, message, the readable rest and the names of what is lost."""
    back = travelled(Rich(body=b"payload", socket=object(), ids=(1, 2), severity=Severity.HIGH))
    assert type(back) is ApplicationError
    assert (back.type, back.message) == ("Rich", "rich")
    assert back.details == {
        "attributes": {"body": "payload", "ids": [1, 2], "severity": "Severity.HIGH"},
        "lost": ["socket"],
    }
    assert "attribute 'socket' was not kept" in back.__notes__[0]


def test_an_attribute_that_is_the_cause():
    """It is the rebuilt cause; where that is not whole, neither is what holds it."""
    inner = Data(1, "x")
    outer = Rich(reason=inner)
    outer.__cause__ = inner
    back = travelled(outer)
    assert isinstance(back, Rich)
    assert back.reason is back.__cause__  # type: ignore[attr-defined]
    broken = Rich(socket=object())
    outer = Rich(reason=broken)
    outer.__cause__ = broken
    assert type(travelled(outer)) is ApplicationError
    ours = travelled(WorkflowFailed("failed", id="w-1", cause=broken))
    assert isinstance(ours, WorkflowFailed)
    assert ours.cause is ours.__cause__


def chain(length: int, link: str) -> Exception:
    """So many exceptions beneath one another."""
    exc: Exception = ValueError("0")
    for number in range(1, length):
        above = ValueError(str(number))
        setattr(above, link, exc)
        exc = above
    return exc


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
def test_long_chains(link: str):
    """The outermost and the innermost are kept, and how many were left out is said."""
    length = 5_900
    deep = chain(length, link)
    failure = failure_of(deep)
    seen = []
    at: Failure | None = failure
    while at is not None:
        seen.append(at)
        at = at.cause
    assert len(seen) == 20
    assert seen[0].message == str(length - 1)
    assert seen[-1].message == "0"
    assert any(f"{length - 20} causes" in one.traceback for one in seen)
    assert str(travelled(deep)) == str(length - 1)
    while deep is not None:  # taken apart here, since Python would do it by recursion
        deep.__dict__, deep = {}, getattr(deep, link)  # type: ignore[assignment]


def test_circles():
    """Causes, contexts and members that lead back to where they began end there."""
    one, other = ValueError("one"), ValueError("other")
    one.__context__, other.__context__ = other, one
    assert failure_of(one).cause is not None
    member = ValueError("member")
    group = ExceptionGroup("group", [member])
    member.__cause__ = group
    failure = failure_of(group)
    assert failure.details["exceptions"][0].get("cause") is None
    holder = Rich(me=None)
    vars(holder)["me"] = holder
    assert type(travelled(holder)) is ApplicationError


def nested(depth: int, width: int) -> ExceptionGroup[Exception]:
    """Groups in groups, the same one many times over: width ** depth exceptions."""
    exc: Exception = ValueError("v")
    for _ in range(depth):
        exc = ExceptionGroup("g", [exc] * width)
    assert isinstance(exc, ExceptionGroup)
    return exc


@pytest.mark.parametrize(("depth", "width"), [(500, 1), (20, 100), (1, 5_000)])
def test_large_groups(depth: int, width: int):
    """What is kept of them is bounded; what is not whole comes as an ApplicationError."""
    group = nested(depth, width)
    failure = failure_of(group)
    assert len(failure.to_json()) < 2_000_000
    back = travelled(group)
    assert type(back) is (ExceptionGroup if width == 1 else ApplicationError)
    if type(back) is ApplicationError and depth == 1:
        assert "more exceptions of the group were not kept" in back.__notes__[0]


class Loader:
    """A module loader that fails when it is asked for the source."""

    def get_source(self, _name: str) -> str:
        """Raise."""
        raise Wild


def test_a_traceback_through_code_without_source():
    """Frames of generated code, whose loader fails, are listed without their lines."""
    names: dict[str, Any] = {"__name__": "generated", "__loader__": Loader()}
    exec(compile("def fail(): raise ValueError('x')", "<generated>", "exec"), names)  # noqa: S102
    with contextlib.suppress(ValueError):
        names["fail"]()
    try:
        names["fail"]()
    except ValueError as error:
        failure = failure_of(error)
    assert 'File "<generated>", line 1, in fail' in failure.traceback
    assert failure.traceback.rstrip().endswith("ValueError: x")


def travelled(exc: BaseException) -> Exception:
    """The exception after a journey through JSON."""
    return exception_of(Failure.from_dict(json.loads(failure_of(exc).to_json())))


@pytest.fixture(autouse=True)
def forgetting() -> Iterator[None]:
    """No class of one test is found by another."""
    yield
    vars(sys.modules[__name__]).pop("Hostile", None)
