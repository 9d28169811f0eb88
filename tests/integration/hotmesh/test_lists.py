"""Text where a list is meant is refused: nobody means its characters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from durable.authoring.workflow import workflow
from durable.errors import ConfigurationError
from durable.hotmesh.mesh import HotMesh
from durable.hotmesh.virtual.virtual import Virtual
from durable.postgres.database import Database
from durable.replay.definitions import WorkflowDefinition
from durable.worker.registry import by_name

Door = Callable[[HotMesh], Awaitable[Any]]


@workflow
async def nothing() -> None:
    """Does nothing."""


@pytest.mark.parametrize(
    ("door", "said"),
    [
        (lambda mesh: mesh.get_ids("t", {}, "kind:bill"), "facets='kind:bill': give a list"),
        (lambda mesh: mesh.hook_all("t", {}, {}, "kind:bill"), "facets='kind:bill': give a list"),
        (lambda mesh: mesh.query_state("j", "team"), "fields='team': give a list"),
    ],
)
async def test_a_graph_is_not_told_characters(database: Database, door: Door, said: str) -> None:
    """Facets and fields are lists; else the option is named."""
    connection = {"connection": database.dsn, "readonly": True}
    mesh = await HotMesh.init(app_id="app", engine=connection, namespace=database.schema)
    try:
        with pytest.raises(ConfigurationError) as refused:
            await door(mesh)
        assert str(refused.value).endswith(said)
    finally:
        await mesh.stop()


async def test_a_function_is_not_called_with_characters(database: Database) -> None:
    """`args` of a call and of a schedule is a list; nothing is called."""
    virtual = await Virtual.init(connection=database.dsn, namespace=database.schema)
    try:
        with pytest.raises(ConfigurationError, match=r"exec\(\): args='EUR': give a list"):
            await virtual.exec(topic="rate", args="EUR", timeout=1)
        with pytest.raises(ConfigurationError, match=r"cron\(\): args={'a': 1}: give a list"):
            await virtual.cron(topic="rate", id="x", interval="1 h", args={"a": 1})  # type: ignore[arg-type]
    finally:
        await virtual.stop()


def test_one_function_is_no_list_of_them() -> None:
    """A worker that is given a function in place of a list says so."""
    with pytest.raises(ConfigurationError, match=r"workflows=<workflow nothing .*>: give a list"):
        by_name(nothing, WorkflowDefinition, "workflows", "@durable.workflow")  # type: ignore[arg-type]
