"""Every error that durable raises, in one tree.

    DurableError
    ├── ConfigurationError          a wrong option, DSN, name or state of the surroundings
    │   ├── DefinitionError         a decorated function that cannot be durable as written
    │   ├── DescriptorError         an app document that does not hold together
    │   └── EmbeddedPostgresError   no usable Postgres could be started here
    ├── PayloadError                a value that cannot be written down or read back
    │   └── SchemaMismatch          data that its graph's JSON Schema refuses (422)
    ├── StateError                  an operation that does not fit what a run's state holds
    ├── DatabaseError               Postgres answered with an error, or could not be reached
    ├── WorkflowAlreadyStarted      the id is taken, and the reuse policy says no
    ├── WorkflowNotFound            no run with that id
    ├── WorkflowEnded               a run ended without a result
    │   ├── WorkflowFailed          its function raised; `.cause` is what it raised
    │   ├── WorkflowCancelled       it was cancelled
    │   └── WorkflowTerminated      it was stopped from outside, without cleaning up
    ├── ResultTimeout               `result(timeout=…)` ran out; the run is as it was
    ├── StepFailed                  what a workflow sees of a step that failed
    │   ├── ActivityFailed          an activity raised; `.cause` is the exception
    │   │   ├── ActivityTimeout     an activity took too long
    │   │   └── OutcomeUnknown      it may have taken effect, and may not be repeated
    │   └── ChildFailed             a child workflow ended badly; `.cause` says how
    ├── JobError                    a job of a hand-written graph; `.code` as HotMesh has it
    │   ├── DuplicateJob            its id is taken
    │   ├── JobNotFound             there is none of that id, or it is over already
    │   ├── JobFailed               it ended with an error, or was interrupted (410)
    │   └── JobTimeout              `pubsub(timeout=…)` ran out (504); the job goes on
    ├── EscalationError             an escalation cannot be changed so; `.reason` says why
    │   ├── EscalationNotFound      there is none of that id
    │   └── EscalationConflict      it is closed already, or somebody else's
    ├── ApplicationError            raised by users, with a type and retry advice
    ├── NonDeterminismError         the code no longer does what its history says
    ├── NotDurableError             something in a workflow that replay cannot repeat
    └── InternalError               a bug in durable itself

Foreign errors (asyncpg's, pydantic's, yaml's) are translated at the room that meets them.
"""

from __future__ import annotations

from typing import Any


class DurableError(Exception):
    """The root: `except DurableError` catches whatever durable raises on purpose.

    Attributes:
        non_retryable: an activity that lets it through is not tried again.
    """

    non_retryable: bool = False


def misplaced(message: str) -> DurableError:
    """The error of a call that is wrong where it stands in the code: a retry fails the same way."""
    error = DurableError(message)
    error.non_retryable = True
    return error


class ConfigurationError(DurableError):
    """An option, a name, a DSN or the surroundings are not usable; the message says what to do."""


class DefinitionError(ConfigurationError):
    """A decorated function cannot be durable as it is written; found when it is decorated."""


class DescriptorError(ConfigurationError):
    """An app document does not hold together; the message lists every finding, path and line."""


class EmbeddedPostgresError(ConfigurationError):
    """No Postgres could be started on this machine; the message says what to install or fix."""


class PayloadError(DurableError):
    """A value cannot be written down, or what was written cannot be read as the type asked for."""


class SchemaMismatch(PayloadError):
    """Data does not fit the JSON Schema by which its graph asks for it to be checked.

    `path` says where in the data, as "$.items[0].price"; `code` is 422.
    """

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path
        self.code = 422


class StateError(DurableError):
    """An operation does not fit what the entity document or an attribute holds, or its limits."""


class DatabaseError(DurableError):
    """Postgres refused a statement or could not be reached.

    `sqlstate` is the code that Postgres gave, None where it gave none.
    """

    def __init__(self, message: str, *, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class WorkflowAlreadyStarted(DurableError):
    """A run with this id exists and the reuse policy does not allow another."""

    def __init__(self, message: str, *, id: str, run_id: int | None = None) -> None:
        super().__init__(message)
        self.id = id
        self.run_id = run_id


class WorkflowNotFound(DurableError):
    """No run has this id in this namespace."""


class WorkflowEnded(DurableError):
    """A run ended without a result."""

    def __init__(self, message: str, *, id: str = "") -> None:
        super().__init__(message)
        self.id = id


class WorkflowFailed(WorkflowEnded):
    """The workflow function raised; `cause` is what, rebuilt where its type is importable."""

    def __init__(
        self,
        message: str,
        *,
        id: str = "",
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(message, id=id)
        self.cause = cause
        self.__cause__ = cause


class WorkflowCancelled(WorkflowEnded):
    """The run was cancelled, and let the cancellation through."""


class WorkflowTerminated(WorkflowEnded):
    """The run was terminated from outside."""


class ResultTimeout(DurableError, TimeoutError):
    """The wait for a result ran out of time; the run is as it was: it goes on, or is suspended."""


class StepFailed(DurableError):
    """A step of a workflow failed for good.

    `name` is the step's name, `attempts` how often it was tried, `cause` the exception (rebuilt
    as the user's own type where that is importable, else an `ApplicationError`).
    """

    def __init__(
        self, message: str, *, name: str = "", attempts: int = 1, cause: BaseException | None = None
    ) -> None:
        super().__init__(message)
        self.name, self.attempts = name, attempts
        self.cause = cause
        self.__cause__ = cause


class ActivityFailed(StepFailed):
    """An activity failed and its retry policy has no attempt left, or forbids one."""


class ActivityTimeout(ActivityFailed, TimeoutError):
    """An activity exceeded a timeout; `kind` is the option's name, such as `start_to_close`."""

    def __init__(
        self,
        message: str,
        *,
        name: str = "",
        attempts: int = 1,
        kind: str = "start_to_close",
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(message, name=name, attempts=attempts, cause=cause)
        self.kind = kind


class OutcomeUnknown(ActivityFailed):
    """An attempt that may not be repeated was cut off: whether it took effect is unknown.

    Its process died, or was stopped, and the attempt was the last one allowed. Find out in the
    activity's own world before going on, and catch this before `ActivityFailed`.
    """


class ChildFailed(StepFailed):
    """A child workflow ended without a result; `cause` says how."""


class JobError(DurableError):
    """What became of a job of a hand-written graph.

    `code` is HotMesh's: 404, 409, 410 for an interruption, 504 for a timeout, else that of the
    activity that failed. `details` is what a worker sent along, `stack` its traceback.
    """

    def __init__(
        self, message: str, *, code: int, job_id: str = "", stack: str = "", details: Any = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.job_id = job_id
        self.stack = stack
        self.details = details


class DuplicateJob(JobError):
    """A job with this id is running, or ended so lately that it still has the id."""


class JobNotFound(JobError):
    """No job has this id, or the one that had it is over."""


class JobFailed(JobError):
    """A job ended with an error, or was interrupted."""


class JobTimeout(JobError, TimeoutError):
    """The wait for a job ran out of time; the job itself goes on."""


class EscalationError(DurableError):
    """An escalation cannot be changed as was asked, and was not.

    `reason` is one of not-found, already-resolved, already-cancelled, already-expired,
    claimed-by-other, claim-expired, not-claimed. `failed` has an `{"id", "reason"}` for each
    escalation that stood in the way.
    """

    def __init__(self, message: str, *, failed: list[dict[str, str]]) -> None:
        super().__init__(message)
        self.failed = failed
        self.reason = failed[0]["reason"]


class EscalationNotFound(EscalationError):
    """No escalation of the app has this id."""


class EscalationConflict(EscalationError):
    """The escalation is closed, or claimed by somebody else."""


class ApplicationError(DurableError):
    """Raise this in an activity or workflow to fail with a type of your own and retry advice.

    `type` is matched by `RetryPolicy(non_retryable=…)`, and is the class's name unless given, also
    of a class that is derived from this one; `non_retryable=True` stops retries at once;
    `next_retry_delay` (seconds, timedelta or text) overrides the policy's next delay; `details` is
    any value that JSON can hold, kept with the failure.

    Example:
        >>> raise ApplicationError("card declined", type="CardDeclined", non_retryable=True)
        Traceback (most recent call last):
        ...
        durable.errors.ApplicationError: card declined
    """

    def __init__(
        self,
        message: str = "",
        *,
        type: str | None = None,
        non_retryable: bool = False,
        next_retry_delay: Any = None,
        details: Any = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.type = self.__class__.__name__ if type is None else type
        self.non_retryable = non_retryable
        self.next_retry_delay = next_retry_delay
        self.details = details


class NonDeterminismError(DurableError):
    """The code no longer issues the commands that the history recorded.

    Never raised into user code: it suspends the run. `step` is the command's number,
    `expected` what was recorded, `got` what the code did, `site` its "file:line".
    """

    def __init__(self, message: str, *, step: int, expected: str, got: str, site: str = "") -> None:
        super().__init__(message)
        self.step = step
        self.expected, self.got = expected, got
        self.site = site


class NotDurableError(DurableError):
    """A workflow used something that replay cannot repeat: a socket, a thread, a subprocess."""


class InternalError(DurableError):
    """This cannot happen: a bug in durable. Please report it with the traceback."""
