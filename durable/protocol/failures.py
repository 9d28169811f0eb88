"""An exception as data: what streams, histories and jobs hold of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

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
    details: Any = None
    cause: Failure | None = None
    name: str = ""
    attempts: int = 1
    ancestry: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-able dict, empty fields left out."""
        out: dict[str, Any] = {"type": self.type, "message": self.message, "kind": self.kind}
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
        message = f"the child workflow {name} did not complete: {failure.type}: {failure.message}"
        return Failure("ChildFailed", message, "child", name=name, cause=failure)
    tried = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    message = f"{name} failed after {tried}: {failure.type}: {failure.message}"
    return Failure(
        "ActivityFailed", message, "activity", name=name, attempts=attempts, cause=failure
    )


def failure_from_json(text: str | None) -> Failure | None:
    """The inverse of `Failure.to_json`; None stays None."""
    return None if text is None else Failure.from_dict(json.loads(text))
