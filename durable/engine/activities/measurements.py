"""What a trigger's `stats` say of a job: what it counts for, and with which values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from durable.descriptor.expressions.values import to_text
from durable.descriptor.plan import Plan, StatsPlan
from durable.descriptor.queries import slot_of
from durable.engine.collation import addresses
from durable.engine.job import ActivityContext, Job
from durable.errors import ConfigurationError, DescriptorError
from durable.protocol.clock import to_datetime
from durable.protocol.searchable import storable

JOB = "job"  # the kind of a job's own row; the others are measures
INDEX = "index"
NAMED_BY_VALUE = frozenset({"count", INDEX})  # these are kept for each value


@dataclass(frozen=True, slots=True)
class JobMeasures:
    """A job as it enters the statistics.

    Args:
        key: what it is counted with.
        slot: the beginning of its step of time, Unix seconds; None: all time is one step.
        values: kind, target and number of each measure, the job itself first.
    """

    key: str
    slot: float | None
    values: tuple[tuple[str, str, str | None], ...]

    def described(self) -> dict[str, str]:
        """What the job's metadata say of it; `ts` is the step of time as `YYYYMMDDHHmm`."""
        ts = {} if self.slot is None else {"ts": f"{to_datetime(self.slot):%Y%m%d%H%M}"}
        return {"key": self.key, **ts}


def counted(context: ActivityContext) -> JobMeasures | None:
    """How a job that begins here is counted, None for a trigger without measures.

    A key that is null or undefined is none: such a job is not counted. What is null or undefined
    is not measured. Raises `DescriptorError` for a key, or a value, that cannot be.
    """
    stats = context.node.stats
    key = None if stats is None else _key(context, stats)
    if stats is None or key is None:
        return None
    slot = slot_of(context.job.created_at, stats.minutes)
    return JobMeasures(key, slot, ((JOB, "", None), *_values(context, stats)))


def key_for(plan: Plan, data: Mapping[str, object]) -> str:
    """The key of a job that would be started with the data.

    Raises `ConfigurationError` for a graph without measures, and for data without a key.
    """
    node = plan.node(plan.trigger)
    if node.stats is None:
        raise ConfigurationError(
            f"graph {plan.subscribes!r} keeps no statistics: give its trigger a stats.key"
        )
    job = Job(0, "", plan.app_id, plan.subscribes, plan.app_version, input=data)
    key = _key(ActivityContext(plan, job, node, addresses.ROOT), node.stats)
    if key is None:
        raise ConfigurationError(
            f"graph {plan.subscribes!r} counts no jobs with these data: its stats.key is null or"
            " undefined for them, so give the query the data that lead to a key"
        )
    return key


def facets_of(plan: Plan, facets: tuple[str, ...]) -> tuple[str, ...]:
    """The facets (`name:value`), proved to be of measures that the graph indexes its jobs by.

    Raises `ConfigurationError` for others.
    """
    stats = plan.node(plan.trigger).stats
    indexed = {name for kind, name, _ in (stats.measures if stats else ()) if kind == INDEX}
    if not indexed:
        raise ConfigurationError(
            f"graph {plan.subscribes!r} has no index of its jobs: give its trigger's stats a"
            " measure of kind index"
        )
    for facet in facets:
        if not isinstance(facet, str) or not any(facet.startswith(f"{n}:") for n in indexed):
            raise ConfigurationError(
                f"facet {facet!r} is none of graph {plan.subscribes!r}: it reads name:value, where"
                f" the name is one of {', '.join(sorted(indexed))}"
            )
    return facets


def _key(context: ActivityContext, stats: StatsPlan) -> str | None:
    found = context.value(stats.key)
    if found is None:
        return None
    if isinstance(found, str) and found and storable(found):
        return found
    if isinstance(found, bool | int | float):
        return to_text(found)
    raise DescriptorError(
        f"trigger {context.node.id!r}: stats.key must be text that Postgres can keep, and is"
        f" {found!r:.100} for this input"
    )


def _values(context: ActivityContext, stats: StatsPlan) -> Iterator[tuple[str, str, str | None]]:
    for kind, name, expression in stats.measures:
        found = context.value(expression)
        if found is None:
            continue
        if kind in NAMED_BY_VALUE:
            if not isinstance(found, str | bool | int | float) or not storable(str(found)):
                raise _unfit(context, kind, name, "text, a number or a boolean", found)
            yield kind, f"{name}:{to_text(found)}", None
        elif isinstance(found, bool) or not isinstance(found, int | float):
            raise _unfit(context, kind, name, "a number", found)
        else:
            yield kind, name, str(Decimal(repr(found)))


def _unfit(
    context: ActivityContext, kind: str, name: str, wanted: str, found: object
) -> DescriptorError:
    return DescriptorError(
        f"trigger {context.node.id!r}: what measure {kind} of {name!r} counts must be {wanted},"
        f" and is {found!r:.100} for this input"
    )
