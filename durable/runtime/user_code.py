"""What user code raises, as data: none of it reaches the event loop.

asyncio lets `SystemExit` and `KeyboardInterrupt` out of a task and thereby ends the loop; a future
refuses `StopIteration`; a bare `except Exception` misses the rest. An attempt, a callback or a run
that raised has ended, whatever it was, a `KeyboardInterrupt` of its own included. The one exception
is Ctrl-C (`interrupts`): that is about the process, which ends by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace

from durable.codec import inspection
from durable.codec.failures import failure_of
from durable.codec.tagged_values import Budget, Writer, readable
from durable.protocol.codes import FAILED
from durable.protocol.failures import Failure, summary
from durable.protocol.graphs import Fault
from durable.runtime.interrupts import is_interrupt


@dataclass(frozen=True, slots=True)
class Ended:
    """How user code ended: with a `value`, or by an `error`."""

    value: object = None
    error: BaseException | None = None


async def ended(code: Awaitable[object]) -> Ended:
    """Await user code to its end; raises nothing but Ctrl-C.

    Example:
        >>> async def exits() -> None:
        ...     raise SystemExit(2)
        >>> asyncio.run(ended(exits()))
        Ended(value=None, error=SystemExit(2))
    """
    try:
        return Ended(await code)
    except BaseException as error:  # whatever it is, the code has ended by it
        if is_interrupt(error):
            raise
        return Ended(error=error)


def code_failure(error: BaseException) -> Failure:
    """What user code raised by itself, as data; with a hint where it meant something else.

    A `CancelledError` without a cancellation is a failure like any other, and cancels no caller.

    Example:
        >>> code_failure(SystemExit(2)).message.partition(":")[0]
        'sys.exit(2) was called'
    """
    failure = failure_of(error)
    if issubclass(type(error), asyncio.CancelledError):  # `isinstance` would ask the error
        message = (
            failure.message or "what the code awaited was cancelled, though the code itself was not"
        )
        return replace(failure, kind="application", message=message)
    if issubclass(type(error), KeyboardInterrupt):
        message = failure.message or "raised by the code itself, not by Ctrl-C"
        return replace(failure, message=message)
    if issubclass(type(error), SystemExit):
        return replace(failure, message=exit_hint(error))
    return failure


def code_fault(error: BaseException, failure: Failure, job_id: str) -> Fault:
    """What a callback raised, as messages of graphs carry it.

    Args:
        error: what it raised; a whole number in its `code` is the job's code.
        failure: the same as data.
        job_id: the job for which it ran.
    """
    code = inspection.attribute(error, "code")
    known = type(code) is int and not issubclass(
        type(error), SystemExit
    )  # that one's is for a process
    # The text of the exception; of a group also what is in it.
    text = failure.message and failure.message + summary(failure).removeprefix(
        f"{failure.type}: {failure.message}"
    )
    message = "; ".join([text or failure.type, *inspection.notes_of(error)])
    return Fault.of(
        failure, code if known else FAILED, job_id, message=message, details=_details(error)
    )


def _details(error: BaseException) -> object:
    """The details of an exception beside its message; as text where JSON could not hold them."""
    details = inspection.attribute(error, "details")
    try:
        return readable(Writer(inspection.text_of, Budget()).write(details))
    except BaseException:  # noqa: BLE001 - values of the user's, which must not hide the failure
        return inspection.shown(details)


def exit_hint(error: BaseException) -> str:
    """What a user needs to know whose code called `sys.exit`.

    Example:
        >>> exit_hint(SystemExit("usage: tool FILE")).partition(":")[0]
        "sys.exit('usage"
    """
    code = inspection.attribute(error, "code")
    argument = "" if code is None else inspection.shown(code)
    return (
        f"sys.exit({argument}) was called: here that ends no process, it is a failure;"
        " raise an exception that says what is wrong instead"
    )
