"""The signals of a workflow: found in its code, and told in its graph."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Any

import pytest

import durable
from durable.authoring.compiler.generate import generate
from durable.descriptor.schema_mismatch import mismatch


@dataclass
class Approval:
    """A payload."""

    by: str
    level: int = 1


approval = durable.Signal("approval", Approval)
go = durable.Signal("go")
tags = durable.Signal("tags", list[str])
BOTH = {"yes": durable.Signal("yes"), "no": durable.Signal("no")}
module = types.ModuleType("signals_of_ours")
vars(module)["late"] = durable.Signal("late", int)
vars(module)["unnamed"] = durable.Signal("unnamed", int)


class Inbox:
    """An object that holds one."""

    def __init__(self) -> None:
        self.signal = go

    async def take(self) -> None:
        """Receive it."""
        await self.signal.receive()


inbox = Inbox()


async def helper() -> None:
    """Receives for others."""
    await approval.receive()


@durable.workflow
async def none() -> None:
    """No signal."""
    await durable.sleep(1)


@durable.workflow
async def direct() -> list[str]:
    """One in the code, one in an inner function."""

    async def inner() -> list[str]:
        return await tags.receive()

    await go.receive()
    return await inner()


@durable.workflow
async def by_way_of_others() -> None:
    """By a helper, a container, a module, an object."""
    await helper()
    await BOTH["yes"].receive()
    await vars_of_module().late.receive()
    await inbox.take()


def vars_of_module() -> Any:
    """The module, by a function that names it."""
    return module


@durable.workflow
async def makes_its_own(name: str) -> None:
    """A signal that no reading of the code tells."""
    await durable.Signal(name).receive()


@pytest.mark.parametrize(
    ("workflow", "names", "complete"),
    [
        (none, [], True),
        (direct, ["go", "tags"], True),
        (by_way_of_others, ["approval", "go", "late", "no", "yes"], True),
        (makes_its_own, [], False),
    ],
)
def test_signals_are_found_where_the_code_leads(
    workflow: durable.Workflow[..., Any], names: list[str], *, complete: bool
) -> None:
    """All that the code names, however it comes there; what it makes leaves the list open."""
    found = workflow.definition.signals()
    if workflow is by_way_of_others:
        assert set(names) - {"late"} <= set(found.adapters)
    else:
        assert sorted(found.adapters) == names
    assert found.complete is complete


def _schema(workflow: durable.Workflow[..., Any]) -> Any:
    graph = generate("q", [workflow.definition], []).data["app"]["graphs"][0]
    return graph["activities"][".signal"]["hook"].get("schema")


def test_the_graph_tells_them_with_their_types() -> None:
    """One property for each signal, closed where the list is complete, and open where it is not."""
    assert _schema(direct) == {
        "type": "object",
        "properties": {
            "go": {"type": "null"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "additionalProperties": False,
    }
    assert _schema(makes_its_own) is None


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"by": "ann"}, None),
        ({"by": "ann", "level": 2}, None),
        ({"by": 3}, "payload.by is not of type string"),
        ({}, "payload lacks the field 'by'"),
        ({"by": "ann", "commment": "?"}, "unknown field 'commment'; there are 'by', 'level'"),
        ({"by": "ann", "level": 1.5}, "payload.level is not of type integer"),
        ("ann", "payload is not of type object"),
        (None, "payload is not of type object"),
    ],
)
def test_what_surely_does_not_fit_is_found(payload: object, said: str | None) -> None:
    """Types, missing and unknown fields, by the schema that the graph tells."""
    found = mismatch(_schema(by_way_of_others)["properties"]["approval"], payload)
    assert (said in found) if said and found else found is said
