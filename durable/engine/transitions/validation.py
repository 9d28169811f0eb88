"""Validation of data by schemas; a side without a schema is skipped."""

from __future__ import annotations

from dataclasses import replace

from durable.descriptor.plan import Plan
from durable.descriptor.schemas import Checker
from durable.engine.effects import Answer, LegResult
from durable.engine.job import ActivityContext, Instance, Job, decode, encode
from durable.errors import SchemaMismatch
from durable.protocol.codes import UNPROCESSABLE
from durable.protocol.graphs import Data, Fault


def require_valid(checker: Checker | None, data: Data, what: str) -> None:
    """Raise `SchemaMismatch` for data that does not fit; `what` says whose it is."""
    if checker is None:
        return
    found = checker.mismatch(decode(encode(data, what)))
    if found is not None:
        raise SchemaMismatch(
            f"{what} does not fit its schema at {found.path}: {found.message}", path=found.path
        )


def _fault(checker: Checker | None, data: Data, what: str) -> Fault | None:
    try:
        require_valid(checker, data, what)
    except SchemaMismatch as error:
        return Fault(UNPROCESSABLE, str(error), details={"path": error.path})
    return None


def _whose(context: ActivityContext, side: str) -> str:
    return f"the {side} of activity {context.node.id!r} of graph {context.plan.subscribes!r}"


def checked_entry(context: ActivityContext, result: LegResult) -> LegResult:
    """The result of entering an activity: only an error when its input does not fit."""
    checker = context.node.checks.get("input")
    if checker is None or result.input is None:
        return result
    fault = _fault(checker, result.input, _whose(context, "input"))
    if fault is None:
        return result
    return LegResult(answer=Answer(code=UNPROCESSABLE, error=fault), input=result.input)


def checked_answer(
    context: ActivityContext, answer: Answer, instance: Instance
) -> tuple[Answer, Instance]:
    """An answer and what it writes, `output.maps` included: an error when that does not fit.

    The data stays as it came. What the engine itself says of a wait that ended is not checked.
    """
    checks = context.node.checks
    if not checks or not answer.checked:
        return answer, instance
    fault = None
    if (by_code := checks.get(str(answer.code))) is not None:
        fault = _fault(by_code, instance.output or {}, _whose(context, f"output {answer.code}"))
    elif answer.error is None:
        if answer.section == "hook":
            fault = _fault(checks.get("hook"), answer.data, _whose(context, "payload"))
        fault = fault or _fault(
            checks.get("output"), instance.output or {}, _whose(context, "output")
        )
    if fault is None:
        return answer, instance
    return (
        replace(answer, code=UNPROCESSABLE, error=fault),
        replace(instance, code=UNPROCESSABLE, error=fault),
    )


def output_fault(plan: Plan, job: Job) -> Fault | None:
    """Why a job cannot end well: its data does not fit the output of its graph."""
    what = f"the output of graph {plan.subscribes!r}"
    return _fault(plan.checks.get("output"), job.data, what)
