"""`@workflow`: an async function that is replayed, and so survives the process it runs in."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, Unpack, cast, final, overload

from durable.authoring.activity import dress
from durable.authoring.called_functions import called_by
from durable.authoring.calls import Call, WorkflowCall
from durable.authoring.declared_signals import declared_signals
from durable.authoring.functions import checked, name_of, refused, signature_of, site_of
from durable.authoring.overrides import (
    WorkflowDeclaration,
    WorkflowOverrides,
    named,
    workflow_options,
)
from durable.protocol.limits import check_text
from durable.protocol.options import WorkflowOptions
from durable.replay.definitions import WorkflowDefinition

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@final
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Workflow(Generic[P, R_co]):
    """What `@workflow` makes of a function. Calling it gives a `Call` for `client.start`.

    Attributes:
        definition: the frozen definition that workers collect.
        id: the id of a run that is called by way of this copy; None means one is made up.
    """

    definition: WorkflowDefinition
    id: str | None = None

    def __post_init__(self) -> None:
        dress(self, self.definition.fn)

    @property
    def name(self) -> str:
        """The name under which it is recorded."""
        return self.definition.name

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Call[R_co]:
        """A call with these arguments. `TypeError`, as Python would, if it cannot be called so."""
        return WorkflowCall(self.definition, args, kwargs, self.id)

    def options(self, **overrides: Unpack[WorkflowOverrides]) -> Workflow[P, R_co]:
        """A copy with other options; see `WorkflowOverrides` for what there is.

        Example:
            >>> @workflow
            ... async def ship(order: str) -> None: ...
            >>> ship.options(id="ship-7", priority=2).id
            'ship-7'
        """
        caller = f"{self.name}.options()"
        options = workflow_options(self.definition.options, overrides, caller)
        given = overrides.get("id", self.id)
        if given is not None:
            check_text("id", given, caller)
        definition = dataclasses.replace(
            self.definition, options=options, overrides=self.definition.overrides | named(overrides)
        )
        return Workflow(definition, given)

    def __repr__(self) -> str:
        return f"<workflow {self.name} at {self.definition.site}>"


class WorkflowDecorator(Protocol):
    """What `@workflow(…)` with options gives: takes an async function."""

    def __call__(self, fn: Callable[P, Awaitable[R]], /) -> Workflow[P, R]:
        """The workflow."""
        ...


@overload
def workflow(fn: Callable[P, Awaitable[R]], /) -> Workflow[P, R]: ...
@overload
def workflow(**options: Unpack[WorkflowDeclaration]) -> WorkflowDecorator: ...
def workflow(
    fn: Callable[..., Awaitable[Any]] | None = None,
    /,
    **options: Unpack[WorkflowDeclaration],
) -> Workflow[..., Any] | WorkflowDecorator:
    """Make an async function a workflow: whatever it awaits is recorded, and never done twice.

    Bare, or with options: see `WorkflowDeclaration`. It runs again from its beginning wherever it
    is taken up, with what was recorded in place of what it awaited; so what it does between must
    be the same each time. Clocks, dice and ids come from `durable.now`, `random` and `uuid4`.

    Raises:
        DefinitionError: the function cannot be a workflow; says where it is and what to do.
        ConfigurationError: an option is wrong.

    Example:
        >>> @workflow(name="orders.fulfil")
        ... async def fulfil(order: str) -> str: ...
        >>> fulfil.name, fulfil.__name__
        ('orders.fulfil', 'fulfil')
    """
    if fn is not None:
        return _defined(fn, options)
    return cast("WorkflowDecorator", partial(_defined, declared=options))


def _defined(fn: Callable[..., Any], declared: WorkflowDeclaration) -> Workflow[..., Any]:
    plain = checked(fn, "@workflow")
    if not inspect.iscoroutinefunction(plain):
        why = "it is not async: write `async def`"
        if hasattr(plain, "__wrapped__"):
            why += "; what the decorator below @workflow returns must be async too"
        raise refused(plain, "@workflow", why)
    overrides = cast("WorkflowOverrides", {k: v for k, v in declared.items() if k != "name"})
    caller = f"@workflow {plain.__name__}"
    if "id" in overrides:
        why = "an id belongs to one run: give it to client.start(…, id=…)"
        raise refused(plain, "@workflow", why)
    return Workflow(
        WorkflowDefinition(
            name=name_of(plain, declared.get("name"), "@workflow"),
            fn=plain,
            signature=signature_of(plain),
            options=workflow_options(WorkflowOptions(), overrides, caller),
            site=site_of(plain),
            signals=partial(declared_signals, plain),
            calls=partial(called_by, plain),
        )
    )
