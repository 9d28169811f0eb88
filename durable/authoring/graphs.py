"""Graphs as steps of a workflow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar, final, overload

from pydantic_core import PydanticSerializationError, to_jsonable_python
from typing_extensions import TypeForm

from durable.authoring.calls import Call
from durable.codec.adapters import Adapter
from durable.errors import PayloadError, misplaced
from durable.protocol.limits import check_fields, check_name
from durable.replay.context import current
from durable.replay.definitions import GraphDefinition

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
_ANY = Adapter(dict[str, Any], owner="durable.graph()", path="data")


@overload
def graph(
    topic: str, data: Mapping[str, object] | None = None, *, app: str | None = None
) -> Call[dict[str, Any]]: ...
@overload
def graph(
    topic: str,
    data: Mapping[str, object] | None = None,
    *,
    app: str | None = None,
    returns: TypeForm[R],
) -> Call[R]: ...
def graph(
    topic: str,
    data: Mapping[str, object] | None = None,
    *,
    app: str | None = None,
    returns: Any = None,
) -> Call[Any]:
    """A hand-written HotMesh graph as a step: await it in a workflow, like a call of an activity.

    The job is begun once, on the version of the app that is active then, and its data are the
    result. An error of the job, an unknown topic, and an app without an active version raise
    `ChildFailed`, whose `cause` is a `JobFailed` with the code. Cancelling the step, by a timeout
    or otherwise, interrupts the job.

    Args:
        topic: what the graph subscribes to.
        data: what the job is started with; pydantic models and dates within are written as JSON.
        app: the graph's app; that of the workflow's task queue unless given.
        returns: the type as which the job's data are read; a dict unless given.

    Raises:
        ConfigurationError: the topic or app is not a name.

    Example:
        >>> await graph("calculate", {"a": 1}, app="calc", returns=Out)  # doctest: +SKIP
        Out(result=3)
    """
    check_name("topic", topic, "durable.graph()")
    if app is not None:
        check_name("app", app, "durable.graph()")
    given = {} if data is None else check_fields("data", data, "durable.graph()")
    result = _ANY if returns is None else Adapter(returns, owner=f"graph {topic!r}", path="data")
    return GraphCall(GraphDefinition(topic, app, result), given)


@final
class GraphCall(Call[R_co]):
    """A call of a graph: see `graph`."""

    __slots__ = ()

    kind = "graph"

    def __init__(self, definition: GraphDefinition, data: Mapping[str, object]) -> None:
        super().__init__(definition, (data,), {})

    @property
    def definition(self) -> GraphDefinition:
        """The graph."""
        found: GraphDefinition = self._definition
        return found

    def _bind(self) -> None:
        """Every graph takes an object."""

    async def _run(self) -> R_co:
        definition, context = self.definition, current()
        if context is None:
            raise misplaced(
                f"{self._described()} was awaited outside of a workflow, where it would not be"
                f" durable: elsewhere a HotMesh starts it, `await mesh.pubsub({self.name!r}, …)`"
            )
        text = _written(self.args[0], self.name)
        outcome = context.graph(definition.name, text, definition.app, definition)
        result: R_co = await outcome
        return result


def _written(data: object, topic: str) -> str:
    """The data as JSON text."""
    try:
        plain = to_jsonable_python(data)
        return json.dumps(plain, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, TypeError, PydanticSerializationError) as error:
        raise PayloadError(
            f"the data for graph {topic!r} cannot be written as JSON: {error}"
        ) from error
