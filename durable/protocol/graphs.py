"""Words of hand-written graphs: data, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from durable.protocol.codes import FAILED, TIMEOUT
from durable.protocol.failures import Failure, report, summary

Data = Mapping[str, Any]
"""What JSON can hold, under text keys."""

Output = dict[str, Any]
"""The same, as it is given to a caller, who may change it."""

NOTHING: Data = MappingProxyType({})


def nothing() -> Data:
    """No data: the default of fields, which must not be a value that a dataclass thinks mutable."""
    return NOTHING


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong, as messages and jobs carry it.

    Args:
        code: HotMesh's code, which transitions compare.
        job_id: the job in which it went wrong.
        stack: the traceback. details: what a worker sent along.
    """

    code: int
    message: str
    job_id: str = ""
    stack: str = ""
    details: object = None

    @classmethod
    def of(
        cls,
        failure: Failure,
        code: int,
        job_id: str = "",
        *,
        message: str | None = None,
        details: object = None,
    ) -> Fault:
        """A failure as jobs and messages carry it, its tracebacks and causes as the stack.

        `message` is its summary unless given.

        Example:
            >>> Fault.of(Failure("ValueError", "no"), 500).message
            'ValueError: no'
        """
        said = summary(failure) if message is None else message
        return cls(code, said, job_id, "\n".join(report(failure)), details)

    def to_dict(self) -> dict[str, object]:
        """As a JSON-able dict, empty fields left out."""
        out: dict[str, object] = {"code": self.code, "message": self.message}
        for key in ("job_id", "stack", "details"):
            if (value := getattr(self, key)) not in ("", None):
                out[key] = value
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Fault:
        """The inverse of `to_dict`; keys of a later version are ignored."""
        return cls(
            int(data.get("code", 500)),
            str(data.get("message", "")),
            str(data.get("job_id", "")),
            str(data.get("stack", "")),
            data.get("details"),
        )


def failed_code(failure: Failure) -> int:
    """The code of what user code raised: 504 for a timeout, what it says in `code`, else 500.

    Example:
        >>> failed_code(Failure("Declined", "no", details={"attributes": {"code": 402}}))
        402
    """
    if failure.kind == "timeout" or failure.type in _TIMEOUTS:
        return TIMEOUT
    record = failure.details if isinstance(failure.details, dict) else {}
    attributes = record.get("attributes")
    code = attributes.get("code") if isinstance(attributes, dict) else None
    return code if type(code) is int else FAILED


_TIMEOUTS = frozenset({"TimeoutError", "WorkflowTimedOut"})
