"""Types and values that are easily altered by JSON: kept, or refused with words that help."""

import datetime as dt
import enum
import functools
import uuid
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar
from zoneinfo import ZoneInfo

import pydantic
import pytest
from typing_extensions import TypedDict

from durable.codec.adapters import Adapter
from durable.errors import DefinitionError, PayloadError

T = TypeVar("T")
OrderId = NewType("OrderId", str)


@dataclass
class Item:
    sku: str
    price: float = 0.0


@dataclass
class RareItem(Item):
    story: str = ""


@dataclass
class Order:
    id: str
    items: list[Item] = field(default_factory=list)


@dataclass
class Tree:
    value: int
    children: list["Tree"] = field(default_factory=list)


@dataclass
class Box(Generic[T]):
    content: T


@dataclass
class Doubled:
    value: int

    def __post_init__(self) -> None:
        self.value *= 2


@dataclass
class Circle:
    radius: int

    @functools.cached_property
    def area(self) -> int:
        return 3 * self.radius**2


class Cat(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    name: str


class Dog(pydantic.BaseModel):
    kind: Literal["dog"] = "dog"
    name: str


class Aliased(pydantic.BaseModel):
    order_id: str = pydantic.Field(alias="orderId")


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    name: str


class WithSecret(pydantic.BaseModel):
    token: pydantic.SecretStr


class Hidden(pydantic.BaseModel):
    shown: int
    hidden: int = pydantic.Field(default=0, exclude=True)


class Private(pydantic.BaseModel):
    shown: int
    _kept: int = pydantic.PrivateAttr(default=0)


class Computed(pydantic.BaseModel):
    side: int

    @pydantic.computed_field
    def area(self) -> int:
        return self.side**2


class Bytes(pydantic.BaseModel):
    data: bytes


class Permission(enum.Flag):
    READ = 1
    WRITE = 2


class Movie(TypedDict, total=False):
    title: str
    year: int


def private(value: int) -> Private:
    made = Private(shown=1)
    made._kept = value
    return made


def round_trip(hint: Any, value: Any) -> Any:
    adapter = Adapter(hint)
    return adapter.decode(adapter.encode(value))


KEPT = [
    (Order, Order("o-1", [Item("a", 1.5), Item("b")])),
    (Tree, Tree(1, [Tree(2), Tree(3, [Tree(4)])])),
    (Box[int], Box(5)),
    (Circle, Circle(2)),
    (OrderId, OrderId("o-1")),
    (Cat | Dog, Dog(name="rex")),
    (
        list[Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]],
        [Dog(name="a"), Cat(name="b")],
    ),
    (Aliased, Aliased(orderId="7")),
    (Open, Open(name="a", more=[1])),
    (Computed, Computed(side=3)),
    (Bytes, Bytes(data=b"text")),
    (Movie, {"title": "Alien"}),
    (Annotated[int, pydantic.Field(gt=0)], 5),
    (dict[int, str], {1: "a", -2: "b"}),
    (dict[str, bytes], {"k": bytes(range(256))}),
    (int, 10**4000),
    (int | None, -(2**63)),
    (int | str, "5"),
    (int | float, 5.0),
    (Decimal, Decimal("1.10")),
    (Decimal, Decimal("1E+3")),
    (dt.datetime, dt.datetime(2024, 5, 1, tzinfo=dt.UTC)),
    (dt.datetime, dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-30)))),
    (dt.datetime, dt.datetime(2024, 5, 1, tzinfo=ZoneInfo("UTC"))),
    (dt.timedelta, dt.timedelta(days=-1, microseconds=1)),
    (deque[int], deque([1, 2])),
    (Permission, Permission.READ),
    (str, "a\x00b"),
    (complex, 1 - 2j),
    (Any | None, {"a": [1, None]}),
    (frozenset[tuple[int, str]], frozenset({(1, "a")})),
]


@pytest.mark.parametrize(("hint", "value"), KEPT, ids=lambda part: type(part).__name__)
def test_kept(hint: Any, value: Any) -> None:
    """The value comes back equal and of its own type."""
    back = round_trip(hint, value)
    assert back == value
    assert type(back) is type(value)


REFUSED = [
    (Order, Order("o-1", [RareItem("a", 1.0, "lost")]), "items[0]"),
    (Order, Order("o-1", [Item("a", 2**53 + 1)]), "items[0].price"),
    (Order, {"id": "o-1", "items": []}, "dict"),
    (Doubled, Doubled(2), "value"),
    (Hidden, Hidden(shown=1, hidden=2), "hidden"),
    (WithSecret, WithSecret(token=pydantic.SecretStr("s")), "token"),
    (Private, private(3), "_kept"),
    (Bytes, Bytes(data=b"\xff"), "ser_json_bytes"),
    (Annotated[int, pydantic.Field(gt=0)], -5, "greater than 0"),
    (Movie, {"title": "Alien", "director": "Scott"}, "director"),
    (int, True, "True (bool)"),
    (int, "5", "'5' (str)"),
    (int, 5.0, "5.0 (float)"),
    (str, 5, "valid string"),
    (str, "\ud800", "surrogates"),
    (int, 10**5000, "JSON"),
    (tuple[int, ...], [1], "[1] (list)"),
    (list[int], (1,), "(1,) (tuple)"),
    (Any, (1, 2), "(1, 2) (tuple)"),
    (Any, {1: "a"}, "dict"),
    (Any, float("nan"), "nan"),
    (Any, b"a", "bytes"),
    (Any, Item("a"), "Item"),
    (dict[str, Any], {"k": {1, 2}}, "['k']"),
    (float | str, float("nan"), "nan"),
    (dt.datetime | str, "2024-05-01T00:00:00", "datetime"),
    (Decimal, Decimal("NaN"), "finite"),
    (dict[str, int], OrderedDict(a=1), "OrderedDict"),
    (dt.datetime, dt.datetime(2024, 5, 1, tzinfo=ZoneInfo("Europe/Berlin")), "time zone"),
    (
        dt.datetime,
        dt.datetime(2024, 5, 1, tzinfo=dt.timezone(dt.timedelta(seconds=90))),
        "datetime",
    ),
    (dt.date, dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC), "date"),
    (object, object(), "object"),
]


@pytest.mark.parametrize(("hint", "value", "word"), REFUSED, ids=lambda part: type(part).__name__)
def test_refused(hint: Any, value: Any, word: str) -> None:
    """What JSON would change is refused before it is written, and the message says which part."""
    with pytest.raises(PayloadError) as caught:
        Adapter(hint, owner="result of charge()").encode(value)
    assert word in str(caught.value)
    assert str(caught.value).startswith("result of charge(): ")


def test_cached_properties_do_not_count() -> None:
    """What a cached_property has computed is not part of the value."""
    circle = Circle(2)
    assert circle.area == 12
    assert vars(round_trip(Circle, circle)) == {"radius": 2}


def test_attributes_beside_the_fields_are_refused() -> None:
    """An attribute that is no field would be lost, so it is refused."""
    item = Item("a")
    item.note = "later"  # type: ignore[attr-defined]
    with pytest.raises(PayloadError, match="note"):
        Adapter(Item).encode(item)


def test_subclasses_of_uuid_are_taken() -> None:
    """Database drivers have a UUID class of their own: it comes back as the standard one."""

    class DriverUUID(uuid.UUID):
        pass

    value = DriverUUID(int=7)
    assert round_trip(uuid.UUID, value) == uuid.UUID(int=7)


def test_an_int_under_float_is_taken() -> None:
    """As for type checkers, an int is good for a float; the float is what comes back."""
    back = round_trip(Item, Item("a", 3))
    assert repr(back.price) == "3.0"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.0])
def test_odd_floats_in_models_are_kept_or_refused(value: float) -> None:
    """Pydantic models write NaN as null: it is refused, even where null would be allowed."""

    class Model(pydantic.BaseModel):
        number: float | None

    try:
        back = round_trip(Model, Model(number=value))
    except PayloadError as error:
        assert "number" in str(error)  # noqa: PT017 - either is right
    else:
        assert repr(back.number) == repr(value)


def test_values_within_themselves_and_too_deep() -> None:
    """A list within itself, and nesting that no parser reads back, are refused at once."""
    circular: list[Any] = []
    circular.append(circular)
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    tree = Tree(0)
    for _ in range(300):
        tree = Tree(0, [tree])
    for hint, value in ((Any, circular), (Any, deep), (Tree, tree)):
        with pytest.raises(PayloadError):
            Adapter(hint).encode(value)


def test_unknown_fields_are_refused() -> None:
    """A field that this version of the code does not know is not dropped in silence."""
    for hint in (Item, Cat, Movie):
        with pytest.raises(PayloadError, match="unknown: "):
            Adapter(hint).decode('{"sku":"a","name":"x","title":"t","unknown":1}')


def test_models_decide_on_unknown_fields_themselves() -> None:
    """A model that says what to do with unknown fields is obeyed."""

    class Careless(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="ignore")
        name: str

    assert Adapter(Careless).decode('{"name":"a","unknown":1}') == Careless(name="a")
    assert Adapter(Open).decode('{"name":"a","more":1}') == Open(name="a", more=1)


def test_text_that_is_not_of_the_type() -> None:
    """Reading names the path and what was expected; so does text that is no JSON."""
    with pytest.raises(PayloadError, match=r"at payload\.items\[0\]\.price: Input should be"):
        Adapter(Order, path="payload").decode('{"id":"o","items":[{"sku":"a","price":"x"}]}')
    with pytest.raises(PayloadError, match="JSON"):
        Adapter(Order).decode("{")


def test_types_that_cannot_be_written() -> None:
    """A class that pydantic does not know is refused by name, with advice."""

    class Connection:
        pass

    with pytest.raises(DefinitionError, match=r"Connection.*use a dataclass"):
        Adapter(Connection).encode(Connection())


def test_json_schema() -> None:
    """The schema of a type is at hand for descriptors."""
    assert Adapter(Item).json_schema()["required"] == ["sku"]


def test_an_ambiguous_union_is_named_as_what_to_change():
    """A value of a type that is annotated is refused with what its union lacks."""
    adapter = Adapter(dict[str, str | Decimal])
    with pytest.raises(PayloadError, match=r"would come back as '10.50' .*in a union of types"):
        adapter.encode({"a": Decimal("10.50")})
