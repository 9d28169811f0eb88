"""Adapters: one type hint, to JSON text and back.

Built at first use, because a hint may name what is defined further down in its module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from typing_extensions import TypeAliasType

from durable.codec import inspection
from durable.codec.dataclass_fields import WrittenSchema, serializer_of
from durable.codec.differences import ADVICE, difference, shown
from durable.codec.fields_set import KEY, is_partial, marked, restore, unmarked
from durable.codec.guards import Guard, guard_for
from durable.codec.scalars import ANNOTATE, advice_on, scalar_of
from durable.codec.tracebacks import place_of
from durable.codec.unreadable_types import check_readable
from durable.errors import DefinitionError, PayloadError

CONFIG: Final = ConfigDict(
    ser_json_bytes="base64",
    val_json_bytes="base64",
    ser_json_inf_nan="strings",
    extra="forbid",
)
"""How plain values, dataclasses and typed dicts are written; pydantic models have their own."""

BYTES_MAX: Final = 64 << 20
"""The longest JSON of a value. Larger ones do not reach the disk before their worker is given up,
again and again, and hold up everybody else's commits."""


class Machine:
    """A hint made ready: the guard, the writer and the reader of one schema.

    Args:
        hint: the resolved type hint.
        owner: what asks, for messages: "charge()", or "signal 'approval'".
        advice: what to do where a value would not come back as it is.
    """

    __slots__ = (
        "_advice",
        "_extra",
        "_has_models",
        "_owner",
        "_read",
        "_write",
        "adapter",
        "guard",
    )

    def __init__(self, hint: Any, owner: str, advice: str = ANNOTATE) -> None:
        try:
            # By way of an alias pydantic takes our settings even for a dataclass.
            alias: Any = TypeAliasType("alias", hint)  # pyright: ignore[reportGeneralTypeIssues]
            self.adapter: TypeAdapter[Any] = TypeAdapter(alias, config=CONFIG)
            if not self.adapter.pydantic_complete:
                self.adapter.rebuild(raise_errors=True)  # raises, and names what is not defined
            self._write = serializer_of(self.adapter, CONFIG).to_json
            self._read = self.adapter.validator.validate_json
            schema = self.adapter.core_schema
            check_readable(schema, shown_hint(hint))
        except DefinitionError as error:
            raise DefinitionError(f"{owner}: {error}") from None
        except Exception as error:  # a type says by its own code what it is like
            raise DefinitionError(
                f"{owner}: the type {shown_hint(hint)} cannot be written down:"
                f" {_first_line(error)}; use a dataclass, a pydantic model or a builtin type whose"
                " parts are such too, and define or import them at the top of their module"
            ) from error
        self._owner = owner
        self._advice = advice
        # What says itself what to do with unknown fields is obeyed; elsewhere none is dropped.
        configs = [model.get("config") or {} for model in _models(schema)]
        says = any("extra_fields_behavior" in config for config in configs)
        self._extra: Any = None if says else "forbid"
        self._has_models = bool(configs)
        self.guard: Guard = guard_for(hint)

    @property
    def forbids_extra(self) -> bool:
        """Whether unknown fields are refused: always, unless a model says what to do with them."""
        return self._extra is not None

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of what is written."""
        return self.adapter.json_schema(by_alias=False, schema_generator=WrittenSchema)

    def write(self, value: Any) -> str:
        """The text of a value that the guard is sure of."""
        try:
            data = self._write(value, by_alias=False, round_trip=True, warnings=False)
        except (PydanticSerializationError, RecursionError) as error:
            raise self._unwritable(error, value) from error
        text = self._sized(data)
        return marked(text, value) if self._has_models and is_partial(value) else text

    def _sized(self, data: bytes) -> str:
        if len(data) > BYTES_MAX:
            raise PayloadError(
                f"{self._owner}: the value takes {len(data):,} bytes of JSON, and at most"
                f" {BYTES_MAX:,} are written: store it elsewhere, such as in a file, and pass where"
            )
        return data.decode()

    def _broken(self, said: str, error: BaseException) -> BaseException:
        """The error for code of the type's own that raised, other than to say: this is invalid."""
        if isinstance(error, KeyboardInterrupt):
            return error  # Ctrl-C is about the process
        name = inspection.name_of(type(error))
        return PayloadError(
            f"{self._owner}: {said}: code of its type raised {name}: {inspection.text_of(error)}"
            f"{place_of(error)}; a validator says by ValueError that a value is invalid"
        )

    def _unwritable(self, error: Exception, value: Any) -> PayloadError:
        return PayloadError(
            f"{self._owner}: the value cannot be written as JSON: {_first_line(error)}"
            f"{_advice(error, value, self._advice)}"
        )

    def write_checked(self, value: Any, path: str) -> str:
        """The text of any other value, once it has been seen to come back as it went in."""
        try:
            data = self._write(
                value, by_alias=False, round_trip=True, warnings=False, fallback=scalar_of
            )
        except (PydanticSerializationError, RecursionError, TypeError) as error:
            raise self._unwritable(error, value) from error
        text = self._sized(data)
        if self._has_models and is_partial(value):
            text = marked(text, value)
        try:
            back = self._validated(text)
        except ValidationError as error:
            raise PayloadError(
                f"{self._owner}: {_findings(error, path)}; the value does not fit its annotation,"
                " or its JSON cannot be read back"
            ) from error
        except BaseException as error:  # validators are code, which may raise anything
            raise self._broken("its JSON could not be read back", error) from error
        try:
            found = difference(value, back, path)
        except BaseException as error:  # so are `__eq__`, `__hash__` and properties
            raise self._broken("it could not be compared with what comes back", error) from error
        if found:
            advice = "" if ADVICE in found else f"; {advice_on(value, self._advice)}"
            raise PayloadError(f"{self._owner}: {found}{advice}")
        return text

    def read(self, text: str, path: str) -> Any:
        """The value of a text."""
        try:
            return self._validated(text)
        except ValidationError as error:
            raise PayloadError(
                f"{self._owner}: what was written cannot be read as the annotated type:"
                f" {_findings(error, path)}"
            ) from error
        except BaseException as error:  # validators are code, which may raise anything
            said = "what was written cannot be read as the annotated type"
            raise self._broken(said, error) from error

    def _validated(self, text: str) -> Any:
        if not (self._has_models and KEY in text):
            return self._read(text, extra=self._extra, by_alias=False, by_name=True)
        plain, form = unmarked(text)
        value = self._read(plain, extra=self._extra, by_alias=False, by_name=True)
        restore(value, form)
        return value


class Adapter:
    r"""One type, such as a signal's payload or a function's result.

    Args:
        hint: any type hint that pydantic knows.
        owner: what asks, for messages.
        path: what the value is called there.
        advice: what to do about a value that would not come back as it is.

    Example:
        >>> adapter = Adapter(tuple[int, bytes])
        >>> adapter.encode((1, b"\xff"))
        '[1,"_w=="]'
        >>> adapter.decode('[1,"_w=="]')
        (1, b'\xff')
    """

    __slots__ = ("_advice", "_machine", "_owner", "_path", "hint")

    def __init__(
        self, hint: Any, *, owner: str = "payload", path: str = "value", advice: str = ANNOTATE
    ) -> None:
        self.hint = hint
        self._owner = owner
        self._path = path
        self._advice = advice
        self._machine: Machine | None = None

    def __repr__(self) -> str:
        return f"Adapter({self.hint!r})"

    def encode(self, value: Any) -> str:
        """JSON text of the value. `PayloadError` if it would not come back as it is."""
        machine = self._machine or self.prepare()
        if machine.guard(value):
            return "null" if value is None else machine.write(value)
        return machine.write_checked(value, self._path)

    def decode(self, text: str) -> Any:
        """The value of a text. `PayloadError` if it is not JSON of this type."""
        return (self._machine or self.prepare()).read(text, self._path)

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of the type."""
        return (self._machine or self.prepare()).json_schema()

    def refuses_unknown(self) -> bool:
        """Whether fields that the type does not have are refused, wherever they stand."""
        return (self._machine or self.prepare()).forbids_extra

    def prepare(self) -> Machine:
        """Build now what is otherwise built at first use. `DefinitionError` for a bad type."""
        self._machine = Machine(self.hint, self._owner, self._advice)
        return self._machine


def _models(schema: Any) -> Iterator[dict[str, Any]]:
    """The schemas of the pydantic models within a schema."""
    if isinstance(schema, dict):
        if schema.get("type") == "model":
            yield schema
        for key, part in schema.items():
            if key != "metadata":
                yield from _models(part)
    elif isinstance(schema, (list, tuple)):
        for part in schema:
            yield from _models(part)


def shown_hint(hint: Any) -> str:
    """A type as people write it."""
    return f"{hint.__module__}.{hint.__qualname__}" if isinstance(hint, type) else repr(hint)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".:") if lines else type(error).__name__


def _advice(error: BaseException, value: Any, otherwise: str) -> str:
    if "invalid utf-8" not in str(error):
        return f"; {advice_on(value, otherwise)}"
    return (
        "; bytes within a pydantic model need"
        " model_config = ConfigDict(ser_json_bytes='base64', val_json_bytes='base64')"
    )


def _findings(error: ValidationError, path: str) -> str:
    return "; ".join(
        f"{_spelled(path, finding['loc'])}{finding['msg']}, got {shown(finding['input'])}"
        for finding in error.errors(include_url=False, include_context=False)[:5]
    )


def _spelled(path: str, loc: tuple[int | str, ...]) -> str:
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return f"at {path}: " if path else ""
