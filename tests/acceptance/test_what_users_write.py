"""Functions and types as users write them: odd parameters, wrappers, types that mean nothing."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker


class Pool:
    """A type that cannot be written down."""


@durable.activity
async def query(pool: Pool) -> int:  # noqa: ARG001
    """Takes what no payload can hold."""
    return 1


@durable.activity
def connect() -> Pool:
    """Gives what no payload can hold."""
    return Pool()


@durable.workflow
async def load(pool: Pool) -> int:  # noqa: ARG001
    """A workflow that takes it."""
    return 1


@durable.workflow
async def idle() -> int:
    """Nothing to do."""
    return 1


@pytest.mark.parametrize(
    ("workflows", "activities", "said"),
    [
        ([idle], [query], r"query\(\) parameter 'pool'"),
        ([], [connect], r"connect\(\) result"),
        ([load], [], r"load\(\) parameter 'pool'"),
    ],
)
async def test_types_are_checked_when_the_worker_starts(
    client: Client, workflows: Any, activities: Any, said: str
) -> None:
    """Before it takes anything; with file, line, function, parameter and what to do."""
    with pytest.raises(durable.DefinitionError, match=rf"{__file__}:\d+: {said}: .*use a datac"):
        await Worker(client, workflows=workflows, activities=activities).start()


def timed(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The usual decorator: a plain wrapper, whatever it wraps."""

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        calls.append(fn.__name__)
        return fn(*args, **kwargs)

    return wrapper


calls: list[str] = []


@durable.activity
@timed
async def wrapped(x: int) -> str:
    """Async below a plain wrapper."""
    return threading.current_thread().name + str(x)


@durable.activity
@timed
def wrapped_plain(x: int) -> int:
    """Plain below a plain wrapper."""
    return x


@durable.activity
async def odd(self: int, cls: str = "c", args: int = 1, kwargs: int = 2) -> list[Any]:
    """Parameters by the names that Python's own have."""
    return [self, cls, args, kwargs]


@durable.workflow
async def all_of_them(self: int, kwargs: int) -> list[Any]:
    """Calls them."""
    return [
        await wrapped(1), await wrapped_plain(2), await odd(self, kwargs=kwargs), await odd(self=4)
    ]  # fmt: skip


async def test_plain_wrappers_and_odd_parameters(client: Client) -> None:
    """A plain wrapper around an async activity is awaited on the loop; any name is free."""
    calls.clear()
    async with Worker(client, workflows=[all_of_them], activities=[wrapped, wrapped_plain, odd]):
        found = await client.execute(all_of_them(self=3, kwargs=7))
    main = threading.main_thread().name
    assert found == [f"{main}1", 2, [3, "c", 1, 7], [4, "c", 1, 2]]
    assert calls == ["wrapped", "wrapped_plain"]
    assert await wrapped(5) == f"{main}5"
