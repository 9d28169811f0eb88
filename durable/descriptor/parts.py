"""What the document is made of below its activities: ids, topics, sides, retries, stats.

Keys are written in camelCase (`maximumAttempts`) and read as attributes in snake_case. A field
that is not declared is refused, never ignored. The text below a field says what it means; the
reference of the language is made of these texts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from durable.descriptor import identifiers
from durable.errors import ConfigurationError
from durable.protocol.retry import RetryPolicy

Id = Annotated[
    str,
    StringConstraints(
        strict=True, min_length=1, max_length=identifiers.LONGEST, pattern=identifiers.ID
    ),
]
"""An activity's id: no blanks, braces or quotes; generated ones begin with a dot."""

Topic = Annotated[
    str,
    StringConstraints(
        strict=True, min_length=1, max_length=identifiers.LONGEST, pattern=identifiers.TOPIC
    ),
]
"""A topic that is fixed: no blanks or braces."""

Text = Annotated[str, StringConstraints(strict=True, min_length=1)]
Flag = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Code = Annotated[int, Field(strict=True, ge=100, le=999)]
CodeText = Annotated[str, StringConstraints(strict=True, pattern=r"^[1-9][0-9]{2}$")]
CodeRetries = tuple[Annotated[int, Field(strict=True, ge=0, le=1000)], Literal["x"]]
"""How many retries, and that their delays grow; `[3]` is read as `[3, x]`."""
Schema = dict[str, JsonValue]
Maps = dict[str, JsonValue]


class Part(BaseModel):
    """What all parts of a document have in common: frozen, and closed to unknown fields."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )


class Port(Part):
    """A side of an activity or graph with a JSON Schema: documentation, unless it is validated."""

    schema_: Schema | None = Field(default=None, alias="schema")
    """A JSON Schema of the data."""
    validate_: Flag = Field(default=False, alias="validate")
    """Whether the data is checked by the schema (of dialect 2020-12, unless it names another)."""


class MappedPort(Port):
    """A side of an activity whose data is built by maps: key -> value of the language."""

    maps: Maps | None = None
    """Key of the data -> value of the mapping language."""


def gather_codes(data: object) -> object:
    """Keys that are codes, put under `byCode`: the ancestor writes `retry: {404: [2, x]}`."""
    if not isinstance(data, dict) or "byCode" in data:
        return data
    codes = {str(key): value for key, value in data.items() if str(key).isdigit()}
    rest = {key: value for key, value in data.items() if str(key) not in codes}
    return {**rest, "byCode": codes} if codes else data


class JobPort(MappedPort):
    """What an activity writes to the job's data."""

    _gather_codes = model_validator(mode="before")(gather_codes)

    by_code: dict[str, MappedPort] = Field(default_factory=dict)
    """Code -> maps, written as `job: {422: {maps: …}}` too. Without effect: it is only kept."""


class OutputPort(MappedPort):
    """The answer of an activity; `by_code` documents what it looks like with other codes."""

    _gather_codes = model_validator(mode="before")(gather_codes)

    by_code: dict[str, MappedPort] = Field(default_factory=dict)
    """Code -> a schema of the answer with it; written as `output: {500: {schema: …}}` too. Maps
    have no effect there."""


class HookPort(Part):
    """What a hook waits for: a topic, unless the graph's `hooks` name one, and a schema."""

    topic: Topic | None = None
    """Where it waits. A graph's `hooks` choose by rules; without one any signal there fits."""
    schema_: Schema | None = Field(default=None, alias="schema")
    """A JSON Schema of what is signalled."""
    validate_: Flag = Field(default=False, alias="validate")
    """Whether what is signalled is checked by the schema."""

    @model_validator(mode="before")
    @classmethod
    def _bare_schema(cls, data: object) -> object:
        """`hook: {type: object, …}` is a JSON Schema by itself."""
        own = {"topic", "schema", "validate"}
        is_bare = isinstance(data, dict) and not data.keys() & own and data
        return {"schema": data} if is_bare else data


class Retry(Part):
    """How often a worker's activity is tried; what is not given has `RetryPolicy`'s default.

    `by_code` says for codes of errors how many retries there are, their delays growing ("x").
    """

    _gather_codes = model_validator(mode="before")(gather_codes)

    maximum_attempts: Whole | None = None
    """How often it is tried, the first time included; 2147483647 is for ever. Default 3."""
    backoff_coefficient: Whole | Number | None = None
    """By what each delay is longer than the one before. Default 10."""
    maximum_interval: Text | Whole | Number | None = None
    """The longest delay: seconds or a duration. Default 120 s."""
    initial_interval: Text | Whole | Number | None = None
    """The first delay: seconds or a duration. Default: as many seconds as the coefficient."""
    non_retryable: tuple[Text, ...] | None = None
    """Exceptions that are not tried again: their classes as `module:qualname`, or their names."""
    by_code: dict[CodeText, CodeRetries] = Field(default_factory=dict)
    """Code -> `[n, x]` or `[n]`: n retries for errors with it; also written `retry: {503: [4]}`."""

    @field_validator("by_code", mode="before")
    @classmethod
    def _growing(cls, value: object) -> object:
        """`[3]` says how many; that delays grow is the only way there is."""
        if not isinstance(value, dict):
            return value
        return {
            k: [*v, "x"] if isinstance(v, (list, tuple)) and len(v) == 1 else v
            for k, v in value.items()
        }

    @model_validator(mode="after")
    def _check(self) -> Retry:
        try:
            self.policy()
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        return self

    def policy(self) -> RetryPolicy:
        """The policy in force, defaults filled in."""
        given = {name: value for name, value in self if value is not None and name != "by_code"}
        return RetryPolicy(**given)

    def policies(self) -> dict[int, RetryPolicy]:
        """Code -> the policy for errors of that code."""
        return {
            int(code): replace(self.policy(), maximum_attempts=retries[0] + 1)
            for code, retries in self.by_code.items()
        }


RETRY_FORMS: Final = ("policy", "reference")
"""The names of the two forms of a retry, as pydantic's errors have them."""


def _form_of_retry(value: object) -> str:
    return RETRY_FORMS[isinstance(value, str)]


RetryValue = Annotated[
    Annotated[Retry, Tag(RETRY_FORMS[0])] | Annotated[Text, Tag(RETRY_FORMS[1])],
    Discriminator(_form_of_retry),
]
"""A policy, or a reference to one."""


class Measure(Part):
    """A number that is kept over jobs, or (`index`) the ids of the jobs with each value."""

    measure: Literal["count", "sum", "avg", "mdn", "max", "min", "index"]
    """What is kept of the target; `mdn` is the median, `index` the jobs that have each value."""
    target: JsonValue
    """A reference to the value that is measured. Its path below `data` names the measure."""


class Stats(Part):
    """What identifies a job, and what is counted over jobs."""

    id: JsonValue = None
    """The job's id: text or a number. A fresh one unless given, and where it is null."""
    key: JsonValue = None
    """What the measures belong to: jobs with the same key are counted together; null: not."""
    granularity: Literal["5m", "10m", "15m", "30m", "1h", "infinity"] | None = None
    """The steps of time in which measures are kept. Default 5m; `infinity` is one step."""
    measures: tuple[Measure, ...] = ()
    """What is counted over jobs. It needs a `key`."""


class Escalation(Part):
    """What is kept of a hook's wait for a person: columns of the escalation, each a value."""

    role: JsonValue = None
    """The role of the people that are to act."""
    type: JsonValue = None
    """What kind of matter it is."""
    subtype: JsonValue = None
    """The same, finer."""
    entity: JsonValue = None
    """What the matter is about."""
    priority: JsonValue = None
    """How much it matters: a whole number."""
    description: JsonValue = None
    """A sentence for them."""
    task_queue: JsonValue = None
    """The queue of the work behind it."""
    workflow_type: JsonValue = None
    """The kind of work behind it."""
    origin_id: JsonValue = None
    """The id of the job in which all began."""
    parent_id: JsonValue = None
    """The id of the job's parent."""
    initiated_by: JsonValue = None
    """The person or system that asked for it."""
    trace_id: JsonValue = None
    """The trace that it belongs to."""
    span_id: JsonValue = None
    """The span in that trace."""
    expires_at: JsonValue = None
    """Until when it is worth acting."""
    metadata: JsonValue = None
    """Whatever else is searched for: an object, or a reference to one."""
    envelope: JsonValue = None
    """What else they need: an object, or a reference to one."""
