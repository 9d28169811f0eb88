"""Arguments by name: what is written, what is read, what is refused."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Unpack

import pytest
from typing_extensions import TypedDict

from durable.codec.signature import Signature
from durable.errors import DefinitionError, PayloadError


@dataclass
class Order:
    id: str
    copies: int = 1


class Extras(TypedDict, total=False):
    colour: str


def simple(order: Order, times: int = 1) -> Order: ...
def none() -> None: ...
def optional(a: int = 1, b: int = 2, *, c: int = 3) -> None: ...
def positional(a: int, b: int = 2, /, c: int = 3) -> None: ...
def anything(a: int, *rest: float, flag: bool = False, **more: Order) -> None: ...
def unpacked(a: int, **extras: Unpack[Extras]) -> None: ...
def bare(value, other=None): ...
def keyword(*, order: Order) -> None: ...


CALLS = [
    (simple, (Order("o"),), {}, '{"order":{"id":"o","copies":1}}'),
    (simple, (Order("o"), 2), {}, '{"order":{"id":"o","copies":1},"times":2}'),
    (simple, (), {"times": 3, "order": Order("o")}, '{"order":{"id":"o","copies":1},"times":3}'),
    (none, (), {}, "{}"),
    (optional, (), {}, "{}"),
    (optional, (), {"b": 5}, '{"b":5}'),
    (optional, (), {"c": 5, "a": 0}, '{"a":0,"c":5}'),
    (positional, (1,), {"c": 4}, '{"a":1,"c":4}'),
    (positional, (1, 2, 3), {}, '{"a":1,"b":2,"c":3}'),
    (
        anything,
        (1, 0.5, 2.5),
        {"flag": True, "x": Order("o")},
        '{"a":1,"rest":[0.5,2.5],"flag":true,"more":{"x":{"id":"o","copies":1}}}',
    ),
    (anything, (1,), {}, '{"a":1}'),
    (unpacked, (1,), {"colour": "red"}, '{"a":1,"extras":{"colour":"red"}}'),
    (bare, ({"a": [1]},), {"other": "x"}, '{"value":{"a":[1]},"other":"x"}'),
    (keyword, (), {"order": Order("o")}, '{"order":{"id":"o","copies":1}}'),
]


@pytest.mark.parametrize(
    ("fn", "args", "kwargs", "text"),
    CALLS,
    ids=lambda part: getattr(part, "__name__", str(part))[:30],
)
def test_arguments_by_name(fn: Any, args: Any, kwargs: Any, text: str) -> None:
    """A call is written by parameter, without defaults, and what is read makes the same call."""
    signature = Signature(fn)
    assert signature.encode_arguments(args, kwargs) == text
    back = signature.decode_arguments(text)
    assert signature._shape.bind(*back[0], **back[1]) == signature._shape.bind(*args, **kwargs)


def test_results() -> None:
    """A result is written by the return annotation."""
    signature = Signature(simple)
    text = signature.encode_result(Order("o", 2))
    assert text == '{"id":"o","copies":2}'
    assert signature.decode_result(text) == Order("o", 2)
    assert Signature(none).encode_result(None) == "null"
    assert Signature(none).decode_result("null") is None


def test_results_that_do_not_fit() -> None:
    """A result of another type is refused; without annotation JSON must be enough."""
    with pytest.raises(PayloadError, match=r"none\(\) result: at result: .*null, got 5 .int."):
        Signature(none).encode_result(5)
    with pytest.raises(PayloadError, match=r"bare\(\) result.*tuple.*annotate"):
        Signature(bare).encode_result((1,))


@pytest.mark.parametrize(
    ("args", "kwargs", "word"),
    [
        ((), {}, "missing a required argument: 'order'"),
        ((Order("o"), 1, 2), {}, "too many positional"),
        ((Order("o"),), {"unknown": 1}, "got an unexpected keyword argument 'unknown'"),
    ],
)
def test_calls_that_python_refuses(args: Any, kwargs: Any, word: str) -> None:
    """Wrong arguments are a TypeError that names the function, as in Python."""
    with pytest.raises(TypeError, match=rf"simple\(\): {word}"):
        Signature(simple).encode_arguments(args, kwargs)
    with pytest.raises(TypeError, match=word):
        Signature(simple).bind(args, kwargs)


def test_misfits_name_parameter_and_path() -> None:
    """The error of a value that does not fit names function, parameter and path within."""
    order = Order("o")
    order.copies = "2"  # type: ignore[assignment]
    with pytest.raises(PayloadError, match=r"simple\(\): at order\.copies: '2' \(str\)"):
        Signature(simple).encode_arguments((order,), {})
    with pytest.raises(PayloadError, match=r"bare\(\): at value: \(1,\) \(tuple\).*annotate"):
        Signature(bare).encode_arguments(((1,),), {})


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{}", "order"),
        ('{"order":{"id":"o"},"unknown":1}', "unknown"),
        ('{"order":{"id":"o","unknown":1}}', r"order\.unknown"),
        ('{"order":{"id":5}}', r"order\.id"),
        ("5", "object"),
        ("", "JSON"),
    ],
)
def test_texts_that_do_not_fit(text: str, word: str) -> None:
    """What was written for other parameters is refused, and the message names the place."""
    with pytest.raises(PayloadError, match=word):
        Signature(simple).decode_arguments(text)


class Socket:
    pass


def connected(order: Order, link: Socket = Socket()) -> None: ...  # noqa: B008


def test_parameters_that_cannot_be_written() -> None:
    """A parameter whose type JSON cannot hold is named, when the signature is prepared."""
    with pytest.raises(DefinitionError, match=r"connected\(\) parameter 'link': the type.*Socket"):
        Signature(connected).prepare()


def test_forward_references_resolve_at_first_use() -> None:
    """An annotation may name what is defined later in its module."""
    module = sys.modules[__name__]

    def later(value: DefinedLater) -> None: ...  # noqa: F821

    signature = Signature(later)
    with pytest.raises(DefinitionError, match=r"DefinedLater.*TYPE_CHECKING"):
        signature.encode_arguments((1,), {})
    module.DefinedLater = int  # type: ignore[attr-defined]
    try:
        assert signature.encode_arguments((1,), {}) == '{"value":1}'
    finally:
        del module.DefinedLater  # type: ignore[attr-defined]


def test_positional_lists() -> None:
    """A start by name alone gives a list: it is bound by position, and checked by annotation."""
    assert Signature(simple).decode_arguments('[{"id":"o"}, 2]') == ((Order("o"), 2), {})
    assert Signature(anything).decode_arguments("[1, 0.5, 2.5]") == ((1, 0.5, 2.5), {})
    assert Signature(none).decode_arguments("[]") == ((), {})
    for text, word in (
        ('[{"id":5}]', r"order\.id"),
        ("[]", "order"),
        ('[{"id":"o"}, 1, 2]', "takes 2 positional arguments, 3 were given"),
        ("[1", "JSON"),
    ):
        with pytest.raises(PayloadError, match=word):
            Signature(simple).decode_arguments(text)


def test_schemas() -> None:
    """The JSON Schemas of both sides, for the descriptor."""
    signature = Signature(simple)
    assert signature.input_schema()["required"] == ["order"]
    assert signature.output_schema()["title"] == "Order"


@pytest.mark.parametrize(
    ("fn", "marks"),
    [
        (simple, {}),
        (none, {}),
        (optional, {"x-positional": ["a", "b"]}),
        (anything, {"x-positional": ["a"], "x-rest": "rest"}),
        (keyword, {"x-positional": []}),
    ],
)
def test_the_schema_tells_which_arguments_are_positional(fn: Any, marks: dict[str, Any]) -> None:
    """Where they are not simply its properties in their order."""
    schema = Signature(fn).input_schema()
    assert {key: value for key, value in schema.items() if key.startswith("x-")} == marks
