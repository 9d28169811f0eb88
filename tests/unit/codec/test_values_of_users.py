"""Values as users have them: models of which some fields were given, numbers of numpy."""

import asyncio
import dataclasses
import datetime as dt
import json
import sys
import uuid
import zoneinfo
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, NoReturn

import pydantic
import pydantic.dataclasses
import pytest
from pydantic_core import core_schema

from durable.codec import adapters
from durable.codec.adapters import Adapter
from durable.codec.signature import Signature
from durable.errors import DefinitionError, PayloadError


class Address(pydantic.BaseModel):
    """A model within a model."""

    street: str | None = None
    city: str = "Berlin"


class Patch(pydantic.BaseModel):
    """The body of a PATCH request."""

    name: str | None = None
    address: Address | None = None
    tags: list[str] = []
    key: uuid.UUID = pydantic.Field(default_factory=uuid.uuid4)


class Open(pydantic.BaseModel):
    """A model that takes anything."""

    model_config = pydantic.ConfigDict(extra="allow")
    name: str | None = None


class Strict(pydantic.BaseModel):
    """A model that refuses what it does not know, by the names that others use."""

    model_config = pydantic.ConfigDict(extra="forbid", populate_by_name=True)
    first: int = pydantic.Field(default=1, alias="First")
    second: int = 2


@dataclasses.dataclass
class Letter:
    """A dataclass that holds models in containers."""

    patches: list[Patch]
    by_name: dict[str, Address]
    pair: tuple[Address, int] = (Address(), 1)


Several = pydantic.RootModel[list[Address]]


def given(value: Any) -> Any:
    """What was given of the models within, and the values."""
    if isinstance(value, pydantic.RootModel):
        return given(value.root)
    if isinstance(value, pydantic.BaseModel):
        fields = {**value.__dict__, **(value.model_extra or {})}
        return value.model_fields_set, {name: given(item) for name, item in fields.items()}
    if dataclasses.is_dataclass(value):
        return {
            field.name: given(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, dict):
        return {key: given(item) for key, item in value.items()}
    return [given(item) for item in value] if isinstance(value, list | tuple) else value


VALUES: list[tuple[Any, Any]] = [
    (Patch, Patch()),
    (Patch, Patch(name=None)),
    (Patch, Patch(name="Ann", address=Address(city="Rome"))),
    (Patch, Patch(name="Ann", address=Address(), tags=[], key=uuid.uuid4())),
    (Open, Open(other=1)),
    (Open, Open(name="x", other=1)),
    (Strict, Strict(second=3)),
    (list[Patch], [Patch(tags=["a"]), Patch(name="b")]),
    (dict[int, Address], {1: Address(street="s"), 2: Address()}),
    (Letter, Letter([Patch(name="a")], {"a": Address(street="s")}, (Address(street="t"), 2))),
    (Several, Several([Address(street="s"), Address()])),
    (Patch | Address | None, Address(street="s")),
    (dict[str, Patch | int], {"a": Patch(name="n"), "b": 1}),
]


@pytest.mark.parametrize(("hint", "value"), VALUES, ids=range(len(VALUES)))
def test_which_fields_were_given_survives(hint: Any, value: Any):
    """`model_fields_set` is the same after the journey, wherever the model is; so are values."""
    adapter = Adapter(hint)
    text = adapter.encode(value)
    back = adapter.decode(text)
    assert given(back) == given(value)
    assert adapter.encode(back) == text


def test_all_values_are_written():
    """Defaults are in the text: one that changes later changes nothing that is under way."""
    form = json.loads(Adapter(Address).encode(Address(street="s")))
    assert (form["street"], form["city"]) == ("s", "Berlin")
    full = Address(street="s", city="Rome")
    assert Adapter(Address).encode(full) == '{"street":"s","city":"Rome"}'


def test_what_others_write_counts_as_given():
    """Text without the mark, from elsewhere or from before, is read as pydantic reads it."""
    adapter = Adapter(Address)
    assert adapter.decode('{"street":"s"}').model_fields_set == {"street"}
    assert adapter.decode('{"street":"s","city":"Rome"}').model_fields_set == {"street", "city"}


class Float64(float):
    """As numpy has it."""

    def item(self) -> float:
        """The builtin."""
        return float(self)


class Int64:
    """As numpy has it: no int."""

    def __init__(self, value: int) -> None:
        self.value = value

    def item(self) -> int:
        """The builtin."""
        return self.value


class Timestamp(dt.datetime):
    """As pandas has it."""

    nanosecond = 0

    def to_pydatetime(self) -> dt.datetime:
        """The builtin."""
        return dt.datetime.combine(self.date(), self.time())


class ndarray:  # noqa: N801 - as numpy spells it
    """As numpy has it."""


for _kind, _module in (
    (Float64, "numpy"), (Int64, "numpy"), (Timestamp, "pandas"), (ndarray, "numpy")
):  # fmt: skip
    _kind.__module__ = _module


def test_scalars_of_numpy_and_pandas():
    """They are taken where a builtin of the same value is meant, and come back as that."""
    for hint, value, expected in (
        (float, Float64(1.5), 1.5),
        (Any, Int64(3), 3),
        (Any, [Int64(3), {"a": Float64(0.5)}], [3, {"a": 0.5}]),
        (list[float], [Float64(1.0)], [1.0]),
        (dt.datetime, Timestamp(2026, 1, 1), dt.datetime(2026, 1, 1)),  # noqa: DTZ001
    ):
        back = Adapter(hint).decode(Adapter(hint).encode(value))
        assert back == expected
        assert type(back) is type(expected)
    with pytest.raises(PayloadError, match=r"pass value\.tolist\(\) in place of the numpy ndarray"):
        Adapter(Any).encode({"a": ndarray()})
    late = Timestamp(2026, 1, 1)
    late.nanosecond = 5
    with pytest.raises(PayloadError):
        Adapter(dt.datetime).encode(late)


def test_scalars_of_the_real_numpy():
    """The same with the library itself, where it is installed."""
    np = pytest.importorskip("numpy")
    for hint, value in ((float, np.float64(1.5)), (int, np.int64(3)), (bool, np.bool_(True)),  # noqa: FBT003
                        (str, np.str_("a")), (Any, [np.int8(1)])):  # fmt: skip
        assert Adapter(hint).decode(Adapter(hint).encode(value)) == value
    with pytest.raises(PayloadError, match="tolist"):
        Adapter(Any).encode(np.arange(3))


def test_a_coroutine_that_nobody_awaited():
    """A wrapper that forgot to await is told so, and no warning follows."""

    async def charge() -> int:
        return 1

    with pytest.raises(PayloadError, match=r"coroutine that was not awaited, of .*charge\(\)"):
        Adapter(Any).encode(charge())


class Pool:
    """A type that cannot be written down."""


def unknown(a: int, b: "Missing") -> int:  # type: ignore[name-defined]  # noqa: F821
    """An annotation that means nothing."""


def unwritable(a: int, pool: Pool) -> int:
    """A parameter that cannot be written down."""


def broken(a: int) -> Pool:
    """A result that cannot be written down."""


def local() -> Any:
    """A type that names one that pydantic cannot find."""

    @dataclasses.dataclass
    class Outer:
        inner: "Inner"

    @dataclasses.dataclass
    class Inner:
        number: int

    def function(a: int, outer: Outer) -> int:  # noqa: ARG001
        return 1

    return function


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (unknown, "parameter 'b': .*Missing.*TYPE_CHECKING"),
        (unwritable, "parameter 'pool': .*Pool.*use a dataclass"),
        (broken, "result: .*Pool.*use a dataclass"),
        (local(), "parameter 'outer': .*Outer.*Inner.*at the top of their module"),
    ],
)
def test_types_that_mean_nothing_are_named(function: Any, named: str):
    """The error says which parameter of which function, why, and what to do."""
    with pytest.raises(DefinitionError, match=rf"(?s){function.__name__}\(\) {named}"):
        Signature(function).check()


class Login(pydantic.BaseModel):
    """A model that holds a secret."""

    password: pydantic.SecretStr


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("hint", "value", "advice"),
    [
        (Login, Login(password=pydantic.SecretStr("x")), "get_secret_value()"),
        (str, "a\ud800", "surrogate"),
        (
            dt.datetime,
            dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
            "astimezone(datetime.UTC)",
        ),
        (dt.datetime, dt.datetime(2026, 7, 1, tzinfo=BERLIN), "astimezone(datetime.UTC)"),
        (Any, print, "pass its name"),
        (Any, int, "pass its name"),
    ],
)
def test_advice_can_be_followed(hint: Any, value: Any, advice: str):
    """Where no annotation helps, the error does not ask for one: it says what to pass."""
    with pytest.raises(PayloadError) as refused:
        Adapter(hint).encode(value)
    assert advice in str(refused.value)
    assert "annotate" not in str(refused.value)


@pytest.mark.parametrize("name", ["Timestamp", "Timedelta", "Period"])
def test_advice_on_pandas_names_methods_that_exist(name: str):
    """What is to be passed in place of a scalar without `item` is something that it has."""
    scalar = type(name, (), {"__module__": "pandas", "isoformat": lambda _self: ""})()
    with pytest.raises(PayloadError) as refused:
        Adapter(Any).encode(scalar)
    assert "item()" not in str(refused.value)
    assert ("isoformat()" in str(refused.value)) == name.startswith("Time")


@pytest.mark.parametrize(("hint", "value"), [(str, "x" * 100), (Any, ["x" * 50] * 2)])
def test_a_value_that_is_too_large(hint: Any, value: Any, monkeypatch: pytest.MonkeyPatch):
    """It is refused, with its size and the limit, before anybody tries to commit it."""
    monkeypatch.setattr(adapters, "BYTES_MAX", 99)
    with pytest.raises(PayloadError, match=r"takes 1\d\d bytes .* at most 99 are written"):
        Adapter(hint).encode(value)


@dataclasses.dataclass
class Total:
    """Fields that the class sets: by itself, by a default, by a factory."""

    cents: int
    with_tax: int = dataclasses.field(init=False)
    currency: str = dataclasses.field(init=False, default="EUR")
    notes: list[str] = dataclasses.field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.with_tax = self.cents * 2


@dataclasses.dataclass(frozen=True, slots=True)
class Bill:
    """Such fields further down, and its own."""

    totals: dict[str, list[Total]]
    paid: bool = dataclasses.field(init=False, default=False)


@pydantic.dataclasses.dataclass
class Settled:
    """A pydantic dataclass; it writes what it does not take."""

    cents: int
    currency: str = dataclasses.field(init=False, default="EUR")


@dataclasses.dataclass
class Price:
    """Made of what it does not keep."""

    euros: dataclasses.InitVar[int]
    cents: int = 0

    def __post_init__(self, euros: int) -> None:
        self.cents = euros * 100


def test_fields_that_a_class_sets_survive():
    """They are not written, and set again; the schema of what is written lacks them."""
    bill = Bill({"a": [Total(5)]})
    adapter = Adapter(Bill)
    text = adapter.encode(bill)
    assert json.loads(text) == {"totals": {"a": [{"cents": 5}]}}
    back = adapter.decode(text)
    assert back == bill
    assert (back.totals["a"][0].currency, back.totals["a"][0].notes) == ("EUR", [])
    total = adapter.json_schema()["$defs"]["Total"]
    assert list(total["properties"]) == total["required"] == ["cents"]


@pytest.mark.parametrize(
    ("field", "value"), [("with_tax", 7), ("currency", "SEK"), ("notes", ["a"])]
)
def test_what_was_changed_since_is_refused(field: str, value: Any):
    """A field that would come back otherwise: the error says why, and what to do."""
    total = Total(5)
    setattr(total, field, value)
    with pytest.raises(PayloadError, match=rf"{field}: it is field\(init=False\).*__init__ takes"):
        Adapter(Total).encode(total)


@dataclasses.dataclass
class Node:
    """Within itself."""

    value: int
    next: "Node | None" = None


@dataclasses.dataclass
class Watch:
    """What is done in the end."""

    name: str
    on_done: Callable[[], None]


class Watched(pydantic.BaseModel):
    """Has code within."""

    watch: Watch


class Socket:
    """Nothing that JSON could hold."""


class Pooled(pydantic.BaseModel):
    """A model that takes anything of a class."""

    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    pool: Socket


class Chained(pydantic.BaseModel):
    """Within itself."""

    hook: Callable[[], None]
    more: "Chained | None" = None


@dataclasses.dataclass
class Optional:
    """Code that may be left out."""

    on_done: Callable[[], None] | None = None
    hooks: list[Callable[[], None]] = dataclasses.field(default_factory=list)


class Named(pydantic.BaseModel):
    """Makes code of a name by itself."""

    on_done: Callable[[str], int]

    @pydantic.field_validator("on_done", mode="before")
    @classmethod
    def _found(cls, given: Any) -> Any:
        return {"len": len}[given] if isinstance(given, str) else given

    @pydantic.field_serializer("on_done")
    def _named(self, value: Any) -> str:
        return str(value.__name__)


@pytest.mark.parametrize("value", [Optional(), Named(on_done=len), Node(1, Node(2)), Path("a")])
def test_what_some_value_could_come_back_of_is_taken(value: Any):
    """Code that may be left out, or is made of its name; a type within itself; a path."""
    adapter = Adapter(type(value))
    assert adapter.decode(adapter.encode(value)) == value


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        (list[Settled], r"Settled.currency is field\(init=False\) .*: set it in __post_init__"),
        (dict[str, Price], "Price.euros is an InitVar .*: make it a field"),
        (Callable[[int], int], "no value of the type .*Callable.* could come back: .* its name"),
        (type[Price], "no value of the type type.*Price.* could come back: .* its name"),
        (type, "no value of the type builtins.type could come back: .* its name"),
        (tuple[int, Callable[[], None]], r"could come back: at \[1\] it holds code"),
        (Watched, r"no value of the type .*Watched could come back: at \.watch\.on_done it holds"),
        (Watched | Callable[[], None], "could come back: .*it holds code"),
        (Pooled, r"could come back: at \.pool JSON has no form for Socket: use a dataclass"),
        (Iterable[int], "could come back: it would be an iterator: .* such as list"),
        (Literal[b"a"], "bytes are written as text"),
        (Chained, r"could come back: at \.hook it holds code"),
    ],
)
def test_what_no_value_could_come_back_of_is_refused_at_once(hint: Any, said: str):
    """When the worker starts, with the function and the parameter."""

    def takes(order): ...

    takes.__annotations__["order"] = hint
    with pytest.raises(DefinitionError, match=rf"takes\(\) parameter 'order': .*{said}"):
        Signature(takes).check()


def test_the_parameter_at_fault_is_named_beside_those_that_have_defaults():
    """One that may be left out is not to blame, even if only its default could be written."""

    def takes(copies: int = 1, hook: Callable[[], None] | None = None, *, pool: Socket): ...

    with pytest.raises(DefinitionError, match=r"takes\(\) parameter 'pool': the type .*Socket"):
        Signature(takes).check()

    def gives(copies: int = 1, hook: Callable[[], None] = print) -> NoReturn: ...

    gives_ = Signature(gives)
    gives_.check()
    assert gives_.decode_arguments(gives_.encode_arguments((2,), {})) == ((2,), {})


class Rated(pydantic.BaseModel):
    """A model whose validator needs what may not be there, and exits in a hurry."""

    stars: int

    @pydantic.field_validator("stars")
    @classmethod
    def known(cls, stars: int) -> int:
        """Fails in ways that say nothing about the value."""
        if stars == 1:
            raise ConnectionError("no rates")
        if stars == 2:
            sys.exit("no rates")
        if stars == 3:
            raise asyncio.CancelledError
        return stars


class Moody:
    """A value whose comparison fails; pydantic is told how to write it."""

    def __init__(self, mood: int) -> None:
        self.mood = mood

    def __eq__(self, other: object) -> bool:
        raise ConnectionError("no moods")

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        return core_schema.no_info_plain_validator_function(
            lambda mood: mood if isinstance(mood, Moody) else Moody(mood),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda one: one.mood),
        )


@pytest.mark.parametrize("stars", [1, 2, 3])
def test_whatever_a_validator_raises_is_told_as_what_it_is(stars: int):
    """Read or written: an error about the value, with the line of the validator."""
    adapter = Adapter(Rated, owner="rate()")
    raised = r"code of its type raised \w+.*test_values_of_users.py\", line \d+, in known\)"
    with pytest.raises(PayloadError, match=rf"rate\(\): what was written .*: {raised}") as read:
        adapter.decode(f'{{"stars":{stars}}}')
    assert read.value.__cause__ is not None
    with pytest.raises(PayloadError, match=rf"rate\(\): its JSON .*: {raised}"):
        adapter.encode(Rated.model_construct(stars=stars))


def test_a_comparison_that_raises_is_told_as_what_it_is():
    """A value that cannot be compared cannot be known to come back."""
    with pytest.raises(PayloadError, match=r"could not be compared .* ConnectionError: no moods"):
        Adapter(Moody, owner="feel()").encode(Moody(1))


def test_what_is_no_json_is_told_without_a_path():
    """There is no place in it to be named."""
    with pytest.raises(PayloadError, match=r"annotated type: Invalid JSON"):
        Signature(print).decode_arguments("{")


@pytest.mark.parametrize("value", [deque([1], maxlen=3), deque([True])])
def test_a_deque_that_would_come_back_different_is_refused(value: deque[int]):
    """Its bound is no part of JSON, and its items are compared as strictly as a list's."""
    assert Adapter(deque[int]).decode(Adapter(deque[int]).encode(deque([1]))) == deque([1])
    with pytest.raises(PayloadError, match="would come back as"):
        Adapter(deque[int]).encode(value)
