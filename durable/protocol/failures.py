"""An exception as data: what streams, histories and jobs hold of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

_SHOWN_MAX = 5  # members of a group in one line
_LENGTH_MAX = 2_000  # characters of such a line
_APPLICATION_ERROR = "durable.errors:ApplicationError"  # its details are the user's
_APART = ("cause", "ancestry")  # fields that are not kept, or not as they are


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception written down.

    Args:
        type: the name that retry policies compare: the class's name, or `ApplicationError.type`.
        message: its text.
        kind: which family it belongs to: `application` (users' own and any other exception),
            `activity`, `child`, `timeout`, `cancelled`, `terminated`, `payload`, `lost`.
        path: "module:qualname" of the class, from which it is rebuilt where importable.
        traceback: the remote traceback as text.
        non_retryable: never try again.
        next_retry_delay: seconds that override the policy's next delay.
        details: JSON-able extras of an `ApplicationError`, or arguments of the exception.
        cause: the failure beneath it.
        name: for `activity`, `child` and `timeout`: the step's name.
        attempts: for those, how often it was tried.
        ancestry: "module:qualname" of the class and its bases, and the types and ancestries of its
            group's members and of what it was raised from. Known where it was raised; not kept.
    """

    type: str
    message: str
    kind: str = "application"
    path: str = ""
    traceback: str = ""
    non_retryable: bool = False
    next_retry_delay: float | None = None
    details: object = None
    cause: Failure | None = None
    name: str = ""
    attempts: int = 1
    ancestry: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def to_dict(self) -> dict[str, object]:
        """As a JSON-able dict, empty fields left out."""
        out: dict[str, object] = {"type": self.type, "message": self.message, "kind": self.kind}
        for key in ("path", "traceback", "non_retryable", "next_retry_delay", "details", "name"):
            value = getattr(self, key)
            # Only the field's own default is empty: a delay of 0 and details of [] say something.
            if value != self.__dataclass_fields__[key].default:
                out[key] = value
        if self.attempts != 1:
            out["attempts"] = self.attempts
        if self.cause is not None:
            out["cause"] = self.cause.to_dict()
        return out

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Failure:
        """The inverse of `to_dict`; unknown keys, of a later version, are ignored."""
        known = {k: v for k, v in data.items() if k in cls.__dataclass_fields__ and k not in _APART}
        cause = data.get("cause")
        return cls(**known, cause=None if cause is None else cls.from_dict(cause))

    def to_json(self) -> str:
        """As JSON text, the form in which columns hold it."""
        return json.dumps(self.to_dict(), separators=(",", ":"))


def members(failure: Failure) -> list[Failure]:
    """What is in an exception group; nothing for any other failure."""
    held = failure.details.get("exceptions") if isinstance(failure.details, dict) else None
    if not isinstance(held, list) or failure.path in ("", _APPLICATION_ERROR):
        return []
    return [Failure.from_dict(one) for one in held if isinstance(one, dict) and "type" in one]


def summary(failure: Failure) -> str:
    """One line: type and message; of a group also those of its members, nested ones too.

    Example:
        >>> summary(Failure("ValueError", "no"))
        'ValueError: no'
    """
    said = f"{failure.type}: {failure.message}" if failure.message else failure.type
    within = members(failure)
    if not within:
        return said
    shown = "; ".join(summary(one) for one in within[:_SHOWN_MAX])
    more = f"; and {len(within) - _SHOWN_MAX} more" if len(within) > _SHOWN_MAX else ""
    return f"{said[:_LENGTH_MAX]} [{shown[:_LENGTH_MAX]}{more}]"


def report(failure: Failure, indent: str = "") -> Iterator[str]:
    """All that is known, line by line: tracebacks, the members of groups, the causes.

    A traceback without a frame, of an error that was never raised, would only say it once more.

    Example:
        >>> list(report(Failure("ValueError", "no", traceback="builtins.ValueError: no")))
        ['ValueError: no']
    """
    at: Failure | None = failure
    while at is not None:
        yield from (f"{indent}{line}" for line in summary(at).split("\n"))
        trace = at.traceback.rstrip()
        if not (trace.endswith(summary(at)) and "\n" not in trace):
            yield from (f"{indent}  {line}" for line in trace.splitlines())
        within = members(at)
        for number, member in enumerate(within, 1):
            yield f"{indent}  in it, {number} of {len(within)}"
            yield from report(member, indent + "    ")
        at = at.cause
        if at is not None:
            yield f"{indent}caused by"


def given_details(failure: Failure) -> object:
    """What the user's own `ApplicationError` carries; None for any other exception."""
    return failure.details if failure.path == _APPLICATION_ERROR else None


def step_failed(kind: str, name: str, attempts: int, failure: Failure) -> Failure:
    """What a run sees of a failed step: the step's family around what went wrong.

    Args:
        kind: "activity" or "child".
        name: the step's.
        attempts: how often it was tried.
        failure: of the last attempt, or of the child run.
    """
    if failure.kind == kind or (kind == "activity" and failure.kind == "timeout"):
        return failure
    if kind == "activity" and failure.kind == "lost":
        return replace(failure, name=name, attempts=attempts)
    if kind == "child":
        message = f"the child workflow {name} did not complete: {summary(failure)}"
        return Failure("ChildFailed", message, "child", name=name, cause=failure)
    tried = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    message = f"{name} failed after {tried}: {summary(failure)}"
    return Failure(
        "ActivityFailed", message, "activity", name=name, attempts=attempts, cause=failure
    )


def failure_from_json(text: str | None) -> Failure | None:
    """The inverse of `Failure.to_json`; None stays None."""
    return None if text is None else Failure.from_dict(json.loads(text))
