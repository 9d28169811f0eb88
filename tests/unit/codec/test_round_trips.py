"""Values come back as they went in, or are refused: over generated types and values."""

import dataclasses
import datetime as dt
import enum
import math
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple, Optional, Union

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import create_model
from typing_extensions import TypedDict

from durable.codec.adapters import Adapter
from durable.codec.guards import guard_for, never
from durable.codec.signature import Signature
from durable.errors import PayloadError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Grade(enum.StrEnum):
    A = "a"


def clean_text():
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


SCALARS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (type(None), st.none()),
    (str, clean_text()),
    (int, st.integers()),
    (bool, st.booleans()),
    (float, st.floats()),
    (bytes, st.binary(max_size=8)),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (uuid.UUID, st.uuids()),
    (dt.datetime, st.datetimes() | st.datetimes(timezones=st.just(dt.UTC))),
    (dt.date, st.dates()),
    (dt.time, st.times()),
    (dt.timedelta, st.timedeltas()),
    (Path, st.sampled_from([Path("a/b"), Path("/"), Path("é")])),
    (Colour, st.sampled_from(Colour)),
    (Size, st.sampled_from(Size)),
    (Grade, st.sampled_from(Grade)),
    (Literal["x", "y"], st.sampled_from(["x", "y"])),
    (Literal[1, 2], st.sampled_from([1, 2])),
]
KEYS = [pair for pair in SCALARS if pair[0] in (str, int, uuid.UUID, dt.date, Colour, Grade)]
Pair = tuple[Any, st.SearchStrategy[Any]]


def records(pairs: list[Pair]) -> st.SearchStrategy[Pair]:
    """Dataclasses, typed dicts, named tuples and models of these fields."""
    fields = [(f"f{number}", hint) for number, (hint, _) in enumerate(pairs)]
    values = {f"f{number}": value for number, (_, value) in enumerate(pairs)}
    # The name tells what is within, for `may_be_refused`.
    within = "".join(word for word in ("Union", "Model") if word in repr(fields))
    name = f"Record{within}"

    def dataclass(**options: bool) -> Pair:
        cls = dataclasses.make_dataclass(name, fields, **options)
        return cls, st.builds(cls, **values)

    def typed_dict() -> Pair:
        return TypedDict(name, dict(fields)), st.fixed_dictionaries(values)

    def named_tuple() -> Pair:
        cls = NamedTuple(name, fields)
        return cls, st.builds(cls, **values)

    def model() -> Pair:
        cls = create_model(f"Model{within}", **{key: (hint, ...) for key, hint in fields})
        return cls, st.builds(cls.model_construct, **values)

    return st.sampled_from(
        [
            dataclass(),
            dataclass(slots=True),
            dataclass(frozen=True),
            typed_dict(),
            named_tuple(),
            model(),
        ]
    )


def larger(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    """Types made of types."""
    keys = st.sampled_from(KEYS)
    return st.one_of(
        inner.map(lambda p: (list[p[0]], st.lists(p[1], max_size=3))),
        inner.map(lambda p: (tuple[p[0], ...], st.lists(p[1], max_size=3).map(tuple))),
        inner.map(lambda p: (Optional[p[0]], st.none() | p[1])),  # noqa: UP045 - built at run time
        st.tuples(inner, inner).map(
            lambda ps: (tuple[ps[0][0], ps[1][0]], st.tuples(ps[0][1], ps[1][1]))
        ),
        keys.map(lambda p: (set[p[0]], st.sets(p[1], max_size=3))),
        keys.map(lambda p: (frozenset[p[0]], st.frozensets(p[1], max_size=3))),
        st.tuples(keys, inner).map(
            lambda ps: (dict[ps[0][0], ps[1][0]], st.dictionaries(ps[0][1], ps[1][1], max_size=3))
        ),
        st.tuples(inner, inner).map(
            lambda ps: (Union[ps[0][0], ps[1][0]], ps[0][1] | ps[1][1])  # noqa: UP007 - likewise
        ),
        st.lists(inner, min_size=1, max_size=3).flatmap(records),
    )


PAIRS = st.recursive(st.sampled_from(SCALARS), larger, max_leaves=4)
UNIONS = (Union, type(int | str))


def same(one: Any, other: Any) -> bool:  # noqa: PLR0911 - one line a kind
    """An oracle of its own: same text of the whole, same types at each place."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return repr(one) == repr(other)
    if isinstance(one, dt.datetime):
        return one.isoformat() == other.isoformat()
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (set, frozenset)):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    if isinstance(one, dict):
        # A typed dict comes back in the order of its declaration.
        return same(sorted(one.items(), key=repr), sorted(other.items(), key=repr))
    if dataclasses.is_dataclass(one):
        return all(
            same(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one)
        )
    if hasattr(one, "model_dump"):
        return same(vars(one), vars(other))
    return repr(one) == repr(other)


def may_be_refused(hint: Any, value: Any) -> bool:
    """Whether the type is ambiguous in JSON, or cannot hold this value there."""
    if "Union" in repr(hint) or "fold=1" in repr(value):
        return True
    return "Model" in repr(hint) and any(word in repr(value) for word in ("nan", "inf", "\\x"))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_fitting_values_come_back(data: st.DataObject):
    """A value of the hinted type comes back the same; only ambiguous ones may be refused."""
    hint, values = data.draw(PAIRS)
    value = data.draw(values)
    adapter = Adapter(hint)
    try:
        text = adapter.encode(value)
    except PayloadError:
        assert may_be_refused(hint, value), (hint, value)
        return
    back = adapter.decode(text)
    assert same(value, back) or equal_scalars(value, back), (hint, value, text, back)


def equal_scalars(value: Any, back: Any) -> bool:
    """An int under a float may come back as that float."""
    return isinstance(value, int) and isinstance(back, float) and value == back


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_guards_are_sound(data: st.DataObject):
    """What a guard is sure of survives, whatever value it is shown: also one of another type."""
    hint, _ = data.draw(PAIRS)
    _, values = data.draw(PAIRS)
    value = data.draw(values)
    if guard_for(hint)(value):
        adapter = Adapter(hint)
        assert same(value, adapter.decode(adapter.encode(value))), (hint, value)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_other_values_are_refused_or_kept(data: st.DataObject):
    """A value of another type than the hint's is refused, or comes back the same."""
    hint, _ = data.draw(PAIRS)
    _, values = data.draw(PAIRS)
    value = data.draw(values)
    adapter = Adapter(hint)
    try:
        text = adapter.encode(value)
    except PayloadError:
        return
    back = adapter.decode(text)
    assert same(value, back) or equal_scalars(value, back), (hint, value, text, back)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | clean_text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(clean_text() | st.integers(), inner, max_size=3)
        | st.tuples(inner)
        | st.lists(inner, max_size=2).map(lambda items: {"k": items})
    ),
    max_leaves=6,
)


@settings(max_examples=200)
@given(JSON)
def test_values_without_annotation(value: Any):
    """Where nothing is annotated, what JSON keeps comes back, and the rest is refused."""

    def bare(value): ...

    signature = Signature(bare)
    try:
        text = signature.encode_arguments((value,), {})
    except PayloadError:
        return
    assert same(((value,), {}), signature.decode_arguments(text))


@given(st.floats())
def test_every_float_is_kept_by_plain_types(value: float):
    """Each float, the infinite ones, NaN and -0.0 included, is kept outside of pydantic models."""
    adapter = Adapter(tuple[float, dict[str, float]])
    first, rest = adapter.decode(adapter.encode((value, {"k": value})))
    assert repr(first) == repr(rest["k"]) == repr(value)
    assert math.copysign(1, first) == math.copysign(1, value) or math.isnan(value)


@pytest.mark.parametrize("pair", SCALARS, ids=lambda pair: str(pair[0]))
def test_scalars_take_the_fast_path(pair: Pair):
    """Each scalar has a guard, so that the common call is written in one pass."""
    assert guard_for(pair[0]) is not never
