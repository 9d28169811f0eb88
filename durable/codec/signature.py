"""Signatures: a function's arguments and result as JSON, by its annotations.

Arguments are written as one object, `{"order": …, "copies": 2}`, by name: it reads well in the
database, and a parameter may be added (with a default) or moved while runs are under way. Defaults
are not written unless given: the code that runs the function decides on them.
"""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any, Never, NoReturn, NotRequired

from typing_extensions import TypedDict

from durable.codec.adapters import Adapter, Machine
from durable.codec.guards import Guard, guard_for
from durable.errors import DefinitionError, PayloadError

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


class Signature:
    """The shapes of a function's arguments and result; annotations are resolved at first use.

    Args:
        fn: the function.
        namespace: names that annotations may use beside those of the function's module.

    Example:
        >>> def charge(order: str, *, times: int = 1) -> bool: ...
        >>> shape = Signature(charge)
        >>> shape.encode_arguments(("o-1",), {"times": 2})
        '{"order":"o-1","times":2}'
        >>> shape.decode_arguments('{"order":"o-1"}')
        (('o-1',), {})
        >>> shape.encode_result(True)
        'true'
    """

    __slots__ = (
        "_at_least",
        "_fn",
        "_guards",
        "_machine",
        "_names",
        "_namespace",
        "_owner",
        "_parameters",
        "_result",
        "_shape",
    )

    def __init__(
        self, fn: Callable[..., Any], *, namespace: Mapping[str, Any] | None = None
    ) -> None:
        self._fn = fn
        self._shape = shape = inspect.signature(fn)
        self._namespace = namespace
        self._owner = f"{getattr(fn, '__name__', repr(fn))}()"
        self._parameters = shape.parameters
        parameters = shape.parameters.values()
        self._names = tuple(p.name for p in parameters if p.kind in _POSITIONAL)
        self._at_least = _fewest(shape)
        self._machine: Machine | None = None
        self._guards: dict[str, Guard] = {}
        self._result: Adapter | None = None

    def __repr__(self) -> str:
        return f"Signature({self._owner[:-2]}{self._shape})"

    def encode_arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """JSON text of a call's arguments.

        Raises:
            TypeError: the function cannot be called with these, as Python would say.
            PayloadError: a value would not come back as it is; names parameter and path.
        """
        if not args and not kwargs and self._at_least == 0:
            return "{}"
        if (
            not kwargs
            and self._at_least is not None
            and (self._at_least <= len(args) <= len(self._names))
        ):
            values = dict(zip(self._names, args, strict=False))
        else:
            values = self._bound(args, kwargs)
        machine = self._machine or self.prepare()
        guards = self._guards
        for name, value in values.items():
            if not guards[name](value):
                return machine.write_checked(values, "")
        return machine.write(values)

    def decode_arguments(self, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments to call the function with. `PayloadError` if they do not fit it.

        A list is taken too, as positional arguments: a caller that starts a workflow by its name
        does not know the names of its parameters.
        """
        if text == "{}" and self._at_least == 0:
            return (), {}
        if text.startswith("["):
            text = self._by_name(text)
        values: dict[str, Any] = (self._machine or self.prepare()).read(text, "")
        if self._at_least is not None and tuple(values) == self._names[: len(values)]:
            return tuple(values.values()), {}
        return self._spread(values)

    def encode_result(self, value: Any) -> str:
        """JSON text of a result. `PayloadError` if it would not come back as it is."""
        return (self._result or self._prepared_result()).encode(value)

    def decode_result(self, text: str) -> Any:
        """The result of a text. `PayloadError` if it is not JSON of the annotated type."""
        return (self._result or self._prepared_result()).decode(text)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Do nothing if the function can be called with these, else raise `TypeError`."""
        few = self._at_least
        if kwargs or few is None or not few <= len(args) <= len(self._names):
            self._bound(args, kwargs)

    def prepare(self) -> Machine:
        """Build now what is otherwise built at first use. `DefinitionError` for a bad type."""
        hints = self._hints()
        members: dict[str, Any] = {}
        guards: dict[str, Guard] = {}
        for name, parameter in self._parameters.items():
            hint = hints.get(name, Any)
            if parameter.kind is Parameter.VAR_POSITIONAL:
                hint = tuple[hint, ...]  # type: ignore[valid-type]  # a hint at run time, none for mypy
            elif parameter.kind is Parameter.VAR_KEYWORD:
                hint = _keywords(hint)
            guards[name] = guard_for(hint)
            members[name] = hint if _is_required(parameter) else NotRequired[hint]
        machine = self._arguments(members)
        self._guards = guards
        returned = hints.get("return", Any)
        if returned is NoReturn or returned is Never:
            returned = None  # it ends by raising, or by being stopped: there is nothing to write
        self._result = Adapter(returned, owner=f"{self._owner} result", path="result")
        self._result.prepare()
        self._machine = machine
        return machine

    def check(self) -> None:
        """As `prepare`, unless that has been done. `DefinitionError` for a bad type."""
        if self._machine is None:
            self.prepare()

    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments' object.

        Where positional arguments are not simply its properties in their order, `x-positional`
        names those that are, and `x-rest` the one that takes what is left (`*args`).
        """
        schema = (self._machine or self.prepare()).json_schema()
        if self._names != tuple(self._parameters):
            schema["x-positional"] = list(self._names)
            for parameter in self._parameters.values():
                if parameter.kind is Parameter.VAR_POSITIONAL:
                    schema["x-rest"] = parameter.name
        return schema

    def refuses_unknown(self) -> bool:
        """Whether fields that an argument's type does not have are refused."""
        return (self._machine or self.prepare()).forbids_extra

    def output_schema(self) -> dict[str, Any]:
        """The JSON Schema of the result."""
        return (self._result or self._prepared_result()).json_schema()

    def _arguments(self, members: dict[str, Any]) -> Machine:
        try:
            return Machine(_object(members), self._owner)
        except DefinitionError:
            # Once more one by one, to say which of them it is.
            for name, hint in members.items():
                try:
                    Machine(_object({name: hint}), self._owner)
                except DefinitionError:
                    bare = typing.get_args(hint)[0] if _may_be_left_out(hint) else hint
                    Adapter(bare, owner=f"{self._owner} parameter {name!r}").prepare()
            raise

    def _prepared_result(self) -> Adapter:
        self.prepare()
        if self._result is None:
            raise AssertionError("prepare() builds the result's adapter")
        return self._result

    def _hints(self) -> dict[str, Any]:
        try:
            return typing.get_type_hints(
                self._fn, localns=dict(self._namespace or {}), include_extras=True
            )
        except Exception as error:  # annotations are code
            raise DefinitionError(
                f"{self._owner}{self._annotated(error)}: an annotation cannot be resolved: {error};"
                " import or define the name at the top of the function's module, not under"
                " TYPE_CHECKING"
            ) from error

    def _annotated(self, error: Exception) -> str:
        """Which parameter the error is about, as far as it names what is missing."""
        missing = getattr(error, "name", None)
        annotations = getattr(self._fn, "__annotations__", {})
        for name, hint in annotations.items() if isinstance(missing, str) else ():
            if re.search(rf"\b{re.escape(str(missing))}\b", str(hint)):
                return " result" if name == "return" else f" parameter {name!r}"
        return ""

    def _bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._shape.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{self._owner}: {error}") from None

    def _by_name(self, text: str) -> str:
        """A list of positional arguments as the object that it stands for."""
        try:
            items = json.loads(text)
        except ValueError as error:
            raise PayloadError(f"{self._owner}: the arguments are no JSON: {error}") from error
        count = len(self._names)
        named = dict(zip(self._names, items, strict=False))
        if len(items) > count:
            rest = [p.name for p in self._parameters.values() if p.kind is Parameter.VAR_POSITIONAL]
            if not rest:
                raise PayloadError(
                    f"{self._owner}: takes {count} positional arguments, {len(items)} were given"
                )
            named[rest[0]] = items[count:]
        return json.dumps(named)

    def _spread(self, values: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional for as long as none is left out, by keyword from there on."""
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for name, parameter in self._parameters.items():
            if name not in values:
                continue
            if parameter.kind is Parameter.VAR_POSITIONAL:
                args.extend(values[name])
            elif parameter.kind is Parameter.VAR_KEYWORD:
                kwargs.update(values[name])
            elif parameter.kind in _POSITIONAL and self._names[: len(args) + 1][-1] == name:
                args.append(values[name])
            else:
                kwargs[name] = values[name]
        return tuple(args), kwargs


def _is_required(parameter: Parameter) -> bool:
    open_ended = parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    return parameter.default is Parameter.empty and not open_ended


def _may_be_left_out(hint: Any) -> bool:
    return typing.get_origin(hint) is NotRequired


def _fewest(shape: inspect.Signature) -> int | None:
    """How many positional arguments are enough; None if positional ones alone never are."""
    required = [p for p in shape.parameters.values() if _is_required(p)]
    return None if any(p.kind not in _POSITIONAL for p in required) else len(required)


def _keywords(hint: Any) -> Any:
    """`**kwargs: Unpack[SomeTypedDict]` is that dict; `**kwargs: T` is a dict of T."""
    args = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Unpack:
        return args[0]
    return dict[str, hint]


def _object(members: dict[str, Any]) -> Any:
    return TypedDict("arguments", members)  # type: ignore[operator]
