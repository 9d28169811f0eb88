"""What all commands share: common options, a connection, and errors as one message."""

from __future__ import annotations

import functools
import inspect
import json
import re
import shlex
import typing
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, fields, is_dataclass
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from durable.cli import event_loops
from durable.cli.output import Output
from durable.errors import (
    ConfigurationError,
    DatabaseError,
    DurableError,
    InternalError,
    ResultTimeout,
    WorkflowAlreadyStarted,
    WorkflowEnded,
    WorkflowNotFound,
)
from durable.protocol.durations import seconds

if TYPE_CHECKING:
    from durable.client.client import Client

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Session:
    """What a connected command works with."""

    client: Client
    out: Output


_BARE = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?!\s*[a-zA-Z\d.])")
INTERRUPTED = 130  # the exit code of what Ctrl-C stopped

Dsn = Annotated[
    str | None,
    typer.Option(
        envvar="DURABLE_DATABASE_URL",
        show_envvar=True,
        help="The Postgres database; without one an embedded Postgres in .durable/ is used. A"
        " password on the command line is seen by everybody on this machine: use the variable.",
    ),
]
Namespace = Annotated[
    str, typer.Option(envvar="DURABLE_NAMESPACE", help="The schema that holds everything.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]

_HINTS: tuple[tuple[type[DurableError], str], ...] = (
    (WorkflowNotFound, "`durable list` shows the runs; --namespace chooses the schema"),
    (WorkflowAlreadyStarted, "choose another --id, or take the open run with --attach"),
    (ResultTimeout, "`durable show {id}` tells why"),
    (WorkflowEnded, "`durable show {id}` tells what happened"),
    (DatabaseError, "is Postgres up, and --dsn (or DURABLE_DATABASE_URL) right?"),
)


def guarded(action: Callable[Concatenate[Output, P], None]) -> Callable[..., None]:
    """A command without a database: adds `--json`, and turns expected errors into a message."""

    @functools.wraps(action)
    def command(*args: Any, as_json: bool = False, **kwargs: Any) -> None:
        given = _grouped(action, kwargs)
        _reported(Output(as_json), lambda out: action(out, *args, **given), kwargs)

    return _signed(command, action, {"as_json": (AsJson, False)})


def connected(
    action: Callable[Concatenate[Session, P], Coroutine[object, object, None]],
) -> Callable[..., None]:
    """A command with a client, which finds a database and its schema, and creates neither.

    See `creating` for the others.
    """
    return _with_client(action, creates=False)


def creating(
    action: Callable[Concatenate[Session, P], Coroutine[object, object, None]],
) -> Callable[..., None]:
    """A command with a client, which creates what is missing: an embedded Postgres, the schema."""
    return _with_client(action, creates=True)


def _with_client(
    action: Callable[Concatenate[Session, P], Coroutine[object, object, None]], *, creates: bool
) -> Callable[..., None]:
    """A command with a client: adds `--dsn`, `--namespace` and `--json`, connects, and closes.

    One whose users choose its event loop has `loop` among its own options.
    """

    @functools.wraps(action)
    def command(
        *args: Any, dsn: str | None, namespace: str, as_json: bool = False, **kwargs: Any
    ) -> None:
        async def whole(out: Output) -> None:
            """Connect, act, close."""
            from durable.composition import connect  # noqa: PLC0415 - `--help` and usage errors need none

            if not creates:
                _find_database(dsn)
            connecting = connect(dsn, namespace=namespace, migrate=creates, report=out.note)
            async with await connecting as client:
                await action(Session(client, out), *args, **_grouped(action, kwargs))

        loop = kwargs.get("loop", event_loops.EventLoop.ASYNCIO)
        _reported(Output(as_json), lambda out: event_loops.run(whole(out), loop), kwargs)

    common = {"dsn": (Dsn, None), "namespace": (Namespace, "durable"), "as_json": (AsJson, False)}
    return _signed(command, action, common)


def _find_database(dsn: str | None) -> None:
    """Raise `ConfigurationError` where connecting would make an embedded Postgres."""
    from durable.composition import HOME  # noqa: PLC0415 - as in `_with_client`

    if dsn is None and not (Path.cwd() / HOME).exists():
        raise ConfigurationError(
            f"there is no database here: neither --dsn nor DURABLE_DATABASE_URL names one, and"
            f" {Path.cwd()} has no {HOME}/, which `durable dev`, `durable worker` and `durable"
            " migrate` make"
        )


def split(target: str) -> tuple[str, str]:
    """Module or path, and attribute ("" for none)."""
    name, _, attribute = target.rpartition(":")
    return (name, attribute) if name else (attribute, "")


def duration(text: str) -> str:
    """A duration of the command line: each of its numbers needs a unit.

    In Python `30` is seconds, as in all of Python; on a command line somebody means days.

    Raises `ConfigurationError` for what is no duration, or lacks a unit.

    Example:
        >>> duration("1h 30m")
        '1h 30m'
    """
    if bare := _BARE.search(text):
        number = bare[0]
        raise ConfigurationError(
            f"{text!r} lacks a unit: write {number}s, {number}m, {number}h or {number}d"
        )
    seconds(text)
    return text


def json_value(text: str) -> Any:
    """The value of an option's JSON text; a usage error when it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # the latter: nested deeper than can be read
        raise typer.BadParameter(
            f"{text!r:.200} is no JSON ({error}); text needs double quotes within single ones:"
            f""" '"like this"'"""
        ) from error


def _reported(out: Output, action: Callable[[Output], None], given: Mapping[str, object]) -> None:
    try:
        action(out)
    except InternalError:
        raise  # a bug: its traceback is wanted
    except DurableError as error:
        hint = next((hint for kind, hint in _HINTS if isinstance(error, kind)), "")
        name = str(given.get("run") or getattr(error, "id", ""))
        out.error(type(error).__name__, str(error), hint.replace("{id}", shlex.quote(name)))
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(INTERRUPTED) from error


def _groups(action: Callable[..., object]) -> dict[str, type]:
    """The parameters that are dataclasses: each field is an option of the command."""
    hints = typing.get_type_hints(action)
    names = list(inspect.signature(action).parameters)[1:]
    return {name: hints[name] for name in names if is_dataclass(hints[name])}


def _grouped(action: Callable[..., object], given: dict[str, Any]) -> dict[str, Any]:
    """What typer has read, with the options of each group in its dataclass."""
    rest = dict(given)
    groups = {
        name: group(**{field.name: rest.pop(field.name) for field in fields(group)})
        for name, group in _groups(action).items()
    }
    return rest | groups


def _signed(
    command: Callable[..., None], action: Callable[..., object], common: dict[str, Any]
) -> Callable[..., None]:
    """Give `command` the action's options, and the common ones: typer reads the signature."""
    hints = typing.get_type_hints(action, include_extras=True)
    groups = _groups(action)
    options: dict[str, Any] = {}
    for parameter in list(inspect.signature(action).parameters.values())[1:]:
        if (group := groups.get(parameter.name)) is None:
            options[parameter.name] = (hints[parameter.name], parameter.default)
        else:
            annotations = typing.get_type_hints(group, include_extras=True)
            options |= {f.name: (annotations[f.name], f.default) for f in fields(group)}
    parameters = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in (options | common).items()
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command
