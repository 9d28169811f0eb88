"""`@activity`: a function that touches the world, at least once for each call of it."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, Unpack, cast, final, overload

from durable.authoring.calls import ActivityCall, Call
from durable.authoring.functions import checked, name_of, signature_of, site_of
from durable.authoring.overrides import (
    ActivityDeclaration,
    ActivityOverrides,
    activity_options,
    named,
)
from durable.protocol.options import ActivityOptions
from durable.replay.definitions import ActivityDefinition

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@final
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Activity(Generic[P, R_co]):
    """What `@activity` makes of a function. Calling it gives a `Call`, to be awaited.

    Attributes:
        definition: the frozen definition that workers collect.
    """

    definition: ActivityDefinition

    def __post_init__(self) -> None:
        dress(self, self.definition.fn)

    @property
    def name(self) -> str:
        """The name under which it is recorded."""
        return self.definition.name

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Call[R_co]:
        """A call with these arguments. `TypeError`, as Python would, if it cannot be called so."""
        return ActivityCall(self.definition, args, kwargs)

    def options(self, **overrides: Unpack[ActivityOverrides]) -> Activity[P, R_co]:
        """A copy with other options; see `ActivityOverrides` for what there is.

        Example:
            >>> @activity
            ... async def render(page: int) -> str: ...
            >>> on_gpu = render.options(task_queue="gpu", heartbeat_timeout="10s")
            >>> on_gpu.definition.options.heartbeat
            10.0
        """
        definition = self.definition
        options = activity_options(definition.options, overrides, f"{self.name}.options()")
        overridden = definition.overrides | named(overrides)
        return Activity(dataclasses.replace(definition, options=options, overrides=overridden))

    def __repr__(self) -> str:
        return f"<activity {self.name} at {self.definition.site}>"


class ActivityDecorator(Protocol):
    """What `@activity(…)` with options gives: takes an async function or a plain one."""

    @overload
    def __call__(self, fn: Callable[P, Awaitable[R]], /) -> Activity[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Activity[P, R]: ...
    def __call__(self, fn: Callable[..., Any], /) -> Activity[..., Any]:
        """The activity."""
        ...


@overload
def activity(fn: Callable[P, Awaitable[R]], /) -> Activity[P, R]: ...
@overload
def activity(fn: Callable[P, R], /) -> Activity[P, R]: ...
@overload
def activity(**options: Unpack[ActivityDeclaration]) -> ActivityDecorator: ...
def activity(
    fn: Callable[..., Any] | None = None, /, **options: Unpack[ActivityDeclaration]
) -> Activity[..., Any] | ActivityDecorator:
    """Make a function an activity: a step that is recorded once done, and retried until then.

    Bare, or with options: see `ActivityDeclaration`. The function is async, or plain, and then run
    on a thread. Its parameters and result need annotations, unless JSON alone is enough for them.

    Raises:
        DefinitionError: the function cannot be an activity; says where it is and what to do.
        ConfigurationError: an option is wrong.

    Example:
        >>> @activity(start_to_close_timeout="1 minute")
        ... async def charge(order: str, amount: int) -> bool:
        ...     return amount > 0
        >>> import asyncio
        >>> asyncio.run(charge("o-1", amount=5))  # outside of a workflow it just runs
        True
    """
    if fn is not None:
        return _defined(fn, options)
    return cast("ActivityDecorator", functools.partial(_defined, declared=options))


def dress(made: object, fn: Callable[..., object]) -> None:
    """Give the object what `functools.wraps` would: name, docstring, module and the function."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__"):
        object.__setattr__(made, name, getattr(fn, name))
    object.__setattr__(made, "__wrapped__", fn)


def _awaiting(wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator's plain wrapper around an async function, as the async function that it is."""

    @functools.wraps(wrapper)
    async def call(*args: Any, **kwargs: Any) -> Any:
        result = wrapper(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    return call


def _defined(fn: Callable[..., Any], declared: ActivityDeclaration) -> Activity[..., Any]:
    plain = checked(fn, "@activity")
    is_async = inspect.iscoroutinefunction(plain)
    called: Callable[..., object] = plain
    if not is_async and inspect.iscoroutinefunction(inspect.unwrap(plain)):
        is_async, called = True, _awaiting(plain)
    overrides = cast("ActivityOverrides", {k: v for k, v in declared.items() if k != "name"})
    return Activity(
        ActivityDefinition(
            name=name_of(plain, declared.get("name"), "@activity"),
            fn=called,
            signature=signature_of(plain),
            options=activity_options(ActivityOptions(), overrides, f"@activity {plain.__name__}"),
            is_async=is_async,
            site=site_of(plain),
        )
    )
