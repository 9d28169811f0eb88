"""How a run of a function ended, in the words of graphs: data, and an error with a code."""

from __future__ import annotations

from typing import Any, Final

from durable.codec.fields_set import plain_value
from durable.engine.effects import Reply
from durable.engine.job import decode
from durable.protocol.codes import CANCELLED, FAILED, INTERRUPTED, OK, TIMEOUT
from durable.protocol.failures import Failure, failure_from_json
from durable.protocol.graphs import Fault

_CODES: Final = {"cancelled": CANCELLED, "terminated": INTERRUPTED, "timed_out": TIMEOUT}
_TIMEOUTS: Final = frozenset({"TimeoutError", "WorkflowTimedOut"})


def data_of(output: str | None) -> dict[str, Any]:
    """The result of a run (JSON text) as the data of a job.

    Example:
        >>> data_of('{"a":1}'), data_of("7")
        ({'a': 1}, {'result': 7})
    """
    value = None if output is None else plain_value(output)
    return value if isinstance(value, dict) else {"result": value}


def fault_of(state: str, failure: Failure | None, jid: str) -> Fault:
    """The end of a run that did not complete, as the error of a job.

    Example:
        >>> fault_of("failed", Failure("ValueError", "no"), "order-1").code
        500
    """
    code = _CODES.get(state, FAILED)
    if failure is None:
        return Fault(code, f"the workflow was {state}", jid)
    if code == FAILED and (failure.kind == "timeout" or failure.type in _TIMEOUTS):
        code = TIMEOUT
    return Fault.of(failure, code, jid, details=failure.details)


def outcome_reply(message: str | None) -> Reply:
    """What the graph's activity hears of the workflow that it awaits and that has ended."""
    found = decode(message) or {}
    state, jid = found.get("state", ""), found.get("id", "")
    if state == "completed":
        return Reply("result", data_of(found.get("output")), code=OK)
    fault = fault_of(state, failure_from_json(found.get("error")), jid)
    return Reply("result", {}, "error", fault.code, fault)
