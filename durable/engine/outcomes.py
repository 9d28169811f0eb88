"""How a run of a function ended, in the words of graphs: data, and an error with a code."""

from __future__ import annotations

from typing import Final

from durable.codec.fields_set import plain_object
from durable.engine.effects import Reply
from durable.engine.job import decode
from durable.protocol.codes import CANCELLED, FAILED, INTERRUPTED, OK, TIMEOUT
from durable.protocol.failures import Failure, failure_from_json, given_details
from durable.protocol.graphs import Fault, failed_code
from durable.protocol.messages import MessageKind

_CODES: Final = {"cancelled": CANCELLED, "terminated": INTERRUPTED, "timed_out": TIMEOUT}


def fault_of(state: str, failure: Failure | None, jid: str) -> Fault:
    """The end of a run that did not complete, as the error of a job.

    Example:
        >>> fault_of("failed", Failure("ValueError", "no"), "order-1").code
        500
    """
    code = _CODES.get(state)
    if failure is None:
        return Fault(code or FAILED, f"the workflow was {state}", jid)
    if state == "terminated":
        return _interruption(failure, jid)
    code = failed_code(failure) if code is None else code
    return Fault.of(failure, code, jid, details=given_details(failure))


def _interruption(failure: Failure, jid: str) -> Fault:
    """The error of a run that was terminated: the caller's reason, and the caller's own code."""
    code, details = INTERRUPTED, failure.details
    if isinstance(details, dict) and isinstance(details.get("code"), int):
        code, details = details["code"], None
    return Fault(code, failure.message or failure.type, jid, failure.traceback, details)


def outcome_reply(message: str | None) -> Reply:
    """What the graph's activity hears of the workflow that it awaits and that has ended."""
    found = decode(message) or {}
    state, jid = found.get("state", ""), found.get("id", "")
    failure = failure_from_json(found.get("error"))
    if state == "completed":
        return Reply(MessageKind.RESULT, plain_object(found.get("output")), code=OK)
    if state == "terminated" and failure is None:  # its interruption was not to throw
        return Reply(MessageKind.RESULT, {}, code=OK)
    fault = fault_of(state, failure, jid)
    return Reply(MessageKind.RESULT, {}, "error", fault.code, fault)
