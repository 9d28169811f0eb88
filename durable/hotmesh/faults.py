"""What a callback raised, as messages of graphs carry it."""

from __future__ import annotations

from typing import Any

from durable.codec import careful
from durable.codec.failures import failure_of
from durable.codec.tagged import Budget, Writer, readable
from durable.protocol.codes import FAILED
from durable.protocol.failures import Failure, report, summary
from durable.protocol.graphs import Fault
from durable.runtime.user_code import exit_hint


def described_error(error: BaseException, jid: str, failure: Failure | None = None) -> Fault:
    """An exception as messages carry it; a whole number in its `code` is the job's code.

    `failure`: the same as data, where it is known already.
    """
    found = failure or failure_of(error)
    code, said = careful.attribute(error, "code"), found.message and _said(found)
    if issubclass(type(error), SystemExit):
        code, said = FAILED, exit_hint(error)  # its `code` is meant for a process
    known = code if type(code) is int else FAILED
    message = "; ".join([said or found.type, *careful.notes_of(error)])
    return Fault(known, message, jid, "\n".join(report(found)), _details(error))


def _said(failure: Failure) -> str:
    """The text of an exception; of a group also what is in it."""
    return failure.message + summary(failure).removeprefix(f"{failure.type}: {failure.message}")


def _details(error: BaseException) -> Any:
    """What an exception says beside its message; as text where JSON could not hold it."""
    details = careful.attribute(error, "details")
    try:
        return readable(Writer(careful.text_of, Budget()).write(details))
    except BaseException:  # noqa: BLE001 - values of the user's, which must not hide the failure
        return careful.shown(details)
