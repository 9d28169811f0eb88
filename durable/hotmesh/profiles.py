"""What roll call says of what only a worker's process knows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Final

from durable.protocol.codes import FAILED, OK, PENDING
from durable.protocol.graphs import Output
from durable.protocol.retry import RetryPolicy
from durable.runtime.user_code import Ended

ERRORS: Final = 400  # answers from this code on are errors
SIGNATURE_MAX: Final = 4000  # characters of a callback's source that roll call shows

_BY_STATUS: Final = {"error": FAILED, "pending": PENDING}


def code_of(end: Ended) -> int:
    """The code of what a callback that is over came to, as its answer or exception says it."""
    error, found = end.error, end.value
    if isinstance(error, SystemExit):
        return FAILED  # its `code` is meant for a process
    if error is not None:
        code, otherwise = getattr(error, "code", None), FAILED
    elif isinstance(found, dict):
        code, otherwise = found.get("code"), _BY_STATUS.get(str(found.get("status")), OK)
    else:
        code, otherwise = None, OK
    return code if isinstance(code, int) and not isinstance(code, bool) else otherwise


def signature_of(callback: Callable[..., object]) -> str:
    """The source of a callback, as far as it can be read, up to `SIGNATURE_MAX` characters."""
    try:
        text = inspect.cleandoc(inspect.getsource(callback))
    except (OSError, TypeError):  # an object that is called like a function, or code from nowhere
        text = str(getattr(callback, "__qualname__", type(callback).__qualname__))
    return text[:SIGNATURE_MAX]


def described_policy(policy: RetryPolicy | None) -> Output | None:
    """A retry policy by the names of the language; None where the worker has none."""
    if policy is None:
        return None
    return {
        "maximumAttempts": policy.most,
        "backoffCoefficient": policy.backoff_coefficient,
        "maximumInterval": policy.maximum_interval,
        "initialInterval": policy.initial_interval,
        "nonRetryable": list(policy.non_retryable_names),
    }
