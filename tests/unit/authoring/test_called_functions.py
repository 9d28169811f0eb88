"""What a workflow's code calls: found by its names, and no two functions under one."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest

import durable
from durable.cli.user_modules import Served, elsewhere
from durable.replay.definitions import check


def activity(name: str) -> durable.Activity[[], str]:
    """An activity of its own under a name."""

    @durable.activity(name=name)
    async def made() -> str:
        return name

    return made


@durable.activity(name="book")
async def book_flight(flight: str) -> None:
    """One."""


@durable.activity(name="book")
async def book_hotel(hotel: str) -> None:
    """Another of the same name."""


@durable.activity(name="book", task_queue="gpu")
async def book_elsewhere(hotel: str) -> None:
    """Another of the same name, which other workers run."""


@durable.activity
async def pay() -> None:
    """A name of its own."""


@durable.workflow(name="trip")
async def inner_trip() -> None:
    """A child."""


@durable.workflow(name="trip")
async def other_trip() -> None:
    """Another of its name."""


flights, hotels = types.ModuleType("flights"), types.ModuleType("hotels")
vars(flights).update(book=book_flight, pay=pay)
vars(hotels).update(book=book_hotel, pay=pay)


async def helper() -> None:
    """Calls for others."""
    await hotels.book("h")


@durable.workflow
async def one_of_each() -> None:
    """Modules that both have the name, of which it uses one."""
    await flights.book("f")
    await hotels.pay()
    await flights.book.options(priority=1)("f")


@durable.workflow
async def both_by_modules() -> None:
    """As attributes, one in a lambda."""
    undo: list[Callable[[], Any]] = [lambda: hotels.book("h")]
    await flights.book("f")
    await undo[0]()


@durable.workflow
async def both_by_a_helper() -> None:
    """One of them in a helper."""
    await book_flight("f")
    await helper()


@durable.workflow
async def on_two_queues() -> None:
    """The same name for two queues: their workers know which they mean."""
    await book_flight("f")
    await book_elsewhere("f")


@durable.workflow
async def two_children() -> None:
    """Children of one name."""
    await inner_trip()
    await other_trip()


@durable.workflow
async def shadowed(book_hotel: str) -> str:
    """A parameter that is called like a function."""
    await book_flight("f")
    return book_hotel


def closing() -> durable.Workflow[[], None]:
    """A workflow whose activities lie in cells."""
    first, second = activity("same"), activity("other")

    @durable.workflow
    async def closed() -> None:
        await first()
        await second()

    return closed


CALLS = [
    (one_of_each, {book_flight, pay}),
    (on_two_queues, {book_flight, book_elsewhere}),
    (shadowed, {book_flight}),
    (two_children, {inner_trip, other_trip}),
]


@pytest.mark.parametrize(("workflow", "called"), CALLS)
def test_calls_are_found_by_names(workflow: Any, called: set[Any]) -> None:
    """What the code names, and nothing that only has the same name."""
    assert set(workflow.definition.calls()) == {one.definition for one in called}


def test_calls_in_cells_are_found() -> None:
    """Activities that an outer function made."""
    assert {one.name for one in closing().definition.calls()} == {"same", "other"}


@pytest.mark.parametrize("workflow", [both_by_modules, both_by_a_helper, two_children])
def test_two_functions_under_one_name_are_refused(workflow: durable.Workflow[[], None]) -> None:
    """Else one of them would be run in place of the other; both places are named."""
    with pytest.raises(durable.DefinitionError, match=r"calls two .* named .*, at .*:\d+ and at"):
        check(workflow.definition)


@pytest.mark.parametrize("workflow", [one_of_each, on_two_queues, shadowed])
def test_others_are_taken(workflow: durable.Workflow[..., Any]) -> None:
    """One function for each name and queue."""
    check(workflow.definition)


def test_a_process_tells_what_it_does_not_serve() -> None:
    """`durable worker` names what its workflows call and lacks, or what stands in its place."""
    served = Served("default", {"one": one_of_each, "two": on_two_queues, "three": two_children})
    served.activities["book"] = book_hotel
    told = elsewhere(served)
    assert len(told) == 3
    assert "calls the activity 'book' of" in told[0]
    assert f"served under that name is {book_hotel.definition.site}" in told[0]
    assert "calls the activity 'pay' of" in told[1]
    assert "which is not served here" in told[1]
    assert "calls the workflow 'trip' of" in told[2]
