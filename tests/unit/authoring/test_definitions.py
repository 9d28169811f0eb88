"""What may be decorated, what comes out, and what is refused with advice."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from datetime import timedelta
from typing import Any

import pytest

from durable.authoring.activity import Activity, activity
from durable.authoring.workflow import Workflow, workflow
from durable.codec.signature import Signature
from durable.errors import ConfigurationError, DefinitionError
from durable.protocol.retry import RetryPolicy


async def charge(order: str, *, times: int = 1) -> int:
    """Charge it."""
    return times * len(order)


def checksum(data: bytes) -> int:
    return len(data)


def test_bare():
    """A bare decorator returns a frozen object that looks like its function."""
    made = activity(charge)
    assert isinstance(made, Activity)
    assert made.name == made.definition.name == "charge"
    assert made.definition.fn is charge
    assert made.definition.is_async
    assert not activity(checksum).definition.is_async
    assert (made.__name__, made.__doc__, made.__module__) == ("charge", "Charge it.", __name__)  # type: ignore[attr-defined]
    assert inspect.signature(made) == inspect.signature(charge)
    assert inspect.unwrap(made) is charge
    assert "test_definitions.py:" in repr(made)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.definition = None  # type: ignore[assignment,misc]


def test_with_options():
    """Options of a decorator land in the definition, durations as seconds."""
    retry = RetryPolicy(maximum_attempts=1)
    made = activity(
        name="pay.charge",
        task_queue="slow",
        retry=retry,
        start_to_close_timeout="1 minute",
        schedule_to_close_timeout=timedelta(hours=1),
        schedule_to_start_timeout=5,
        heartbeat_timeout=None,
        priority=-2,
    )(charge)
    options = made.definition.options
    assert made.name == "pay.charge"
    assert (options.task_queue, options.retry, options.priority) == ("slow", retry, -2)
    assert (options.start_to_close, options.schedule_to_close) == (60.0, 3600.0)
    assert (options.schedule_to_start, options.heartbeat) == (5.0, None)


def test_options_of_a_copy():
    """`.options` returns a copy; the original keeps its own."""
    made = activity(start_to_close_timeout=5, priority=1)(charge)
    other = made.options(task_queue="gpu", start_to_close_timeout=None)
    assert other.definition.options.task_queue == "gpu"
    assert other.definition.options.start_to_close is None
    assert other.definition.options.priority == 1
    assert made.definition.options.task_queue is None
    assert made.definition.options.start_to_close == 5.0
    assert other.definition.fn is charge


def test_workflow_options():
    """A workflow has a queue and a priority; a copy of it may also have the id of its run."""

    @workflow(task_queue="orders", priority=3)
    async def fulfil(order: str) -> None: ...

    assert isinstance(fulfil, Workflow)
    assert (fulfil.definition.options.task_queue, fulfil.definition.options.priority) == (
        "orders",
        3,
    )
    copy = fulfil.options(id="child-1", priority=0)
    assert (copy.id, copy.definition.options.priority) == ("child-1", 0)
    assert copy.definition.options.task_queue == "orders"
    assert copy.options(priority=1).id == "child-1"
    assert fulfil.id is None


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"start_to_close_timeout": "soon"}, "start_to_close_timeout: 'soon' is no duration"),
        ({"heartbeat_timeout": 0}, "leaves no time"),
        ({"task_queue": "{gpu"}, "a brace begins a reference"),
        ({"heartbeat_timeout": -1}, "not negative"),
        ({"retry": 3}, "RetryPolicy"),
        ({"task_queue": ""}, "task_queue"),
        ({"task_queue": 7}, "task_queue"),
        ({"priority": "high"}, "priority"),
        ({"priority": True}, "priority"),
        ({"priority": 10**6}, "priority"),
        ({"timeout": 5}, "there is no option timeout; there are"),
        ({"name": ".hidden"}, "dot"),
        ({"name": ""}, "name"),
        ({"name": "a{b}"}, "braces"),
        ({"name": "x" * 201}, "200"),
        ({"name": "a\nb"}, "control"),
    ],
)
def test_wrong_options(options: Any, word: str):
    """A wrong option is refused when the function is decorated, by name."""
    with pytest.raises(ConfigurationError, match=word):
        activity(**options)(charge)


def test_wrong_workflow_options():
    """Workflows refuse likewise; an id belongs to a run and not to the decorator."""

    async def fulfil() -> None: ...

    with pytest.raises(DefinitionError, match=r"client\.start"):
        workflow(id="x")(fulfil)  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match="retry"):
        workflow(retry=RetryPolicy())(fulfil)  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match="id"):
        workflow(fulfil).options(id="")


class Shop:
    """Holds functions that cannot be durable."""

    async def method(self) -> None: ...

    @staticmethod
    async def static() -> None: ...

    @classmethod
    async def for_class(cls) -> None: ...


def generator() -> Any:
    yield 1


async def async_generator() -> Any:
    yield 1


def decorated(fn: Any) -> Any:
    @functools.wraps(fn)
    def wrapper(*args: Any) -> Any:
        return fn(*args)

    return wrapper


async def plain() -> None: ...


@pytest.mark.parametrize("decorator", [activity, workflow])
@pytest.mark.parametrize(
    ("fn", "word"),
    [
        (lambda: None, "lambda"),
        (generator, "generator"),
        (async_generator, "generator"),
        (Shop.method, "class Shop"),
        (Shop.static, "class Shop"),
        (Shop().method, "method"),
        (Shop.for_class, "method"),
        (vars(Shop)["static"], "method"),
        (Shop, "class"),
        (functools.partial(charge, "o"), "partial"),
        (len, "builtin"),
        (activity(charge), "decorated already"),
        (workflow(charge), "decorated already"),
        (5, "not a function"),
        ("name", "not a function"),
    ],
)
def test_functions_that_cannot_be_durable(decorator: Any, fn: Any, word: str):
    """What has no name that another process finds is refused with file, line and advice."""
    with pytest.raises(DefinitionError, match=word) as caught:
        decorator(fn)
    assert "test_definitions.py:" in str(caught.value)


@pytest.mark.parametrize("fn", [checksum, decorated(plain)])
def test_workflows_are_async(fn: Any):
    """A workflow that is not async is refused; the message names what to write."""
    with pytest.raises(DefinitionError, match="async def"):
        workflow(fn)


def test_annotations_may_name_what_is_local():
    """Annotations of a local function, text or not, may name what is local beside it."""

    @dataclasses.dataclass
    class Order:
        id: str

    @activity
    async def send(order: Order) -> list[Order]:
        return [order]

    signature: Signature = send.definition.signature
    assert signature.encode_arguments((Order("o"),), {}) == '{"order":{"id":"o"}}'
    assert signature.decode_result('[{"id":"o"}]') == [Order("o")]
