"""Rows of graph jobs and their messages, as the values that steps work with, and back."""

from __future__ import annotations

from typing import Any

from durable.codec.adapters import BYTES_MAX
from durable.descriptor.operations import complaints
from durable.engine.effects import Reply
from durable.engine.job import Instance, Job, decode, encode
from durable.engine.transitions.job_state import StateChange
from durable.errors import PayloadError
from durable.postgres.database import Row
from durable.protocol.clock import from_datetime
from durable.protocol.codes import FAILED, OK, PENDING
from durable.protocol.graphs import NOTHING, Fault
from durable.protocol.limits import COUNT_MAX
from durable.protocol.messages import MessageKind
from durable.store.graph_jobs import SavedInstance, SavedJob
from durable.store.states import SavedState


def job_of(row: Row) -> Job:
    """A job as the table has it."""
    error = decode(row["error"])
    return Job(
        run_id=row["run_id"],
        jid=row["jid"],
        app_id=row["app_id"],
        graph=row["graph"],
        version=row["graph_version"],
        status=row["status"],
        state=row["state"],
        input=decode(row["input"]) or {},
        data=decode(row["output"]) or {},
        error=None if error is None else Fault.from_dict(error),
        metadata=decode(row["metadata"]) or {},
        created_at=from_datetime(row["created_at"]),
        finished_at=None if row["finished_at"] is None else from_datetime(row["finished_at"]),
        parent_run_id=row["parent_run_id"],
        reply_to=tuple(row["reply_to"]),
        entity=row["entity"],
        document=decode(row["document"]) or NOTHING,
        attributes=decode(row["attributes"]) or NOTHING,
    )


def put_aside_of(row: Row) -> Fault | None:
    """Why a message of an open job was dead-lettered, as `find` returns it."""
    error = None if row["finished_at"] is not None else decode(row["put_aside"])
    return None if error is None else Fault.from_dict(error)


def instance_of(row: Row) -> Instance:
    """What an activity did, as the table has it; its input is not read back by any step."""
    error = decode(row["error"])
    return Instance(
        row["aid"],
        row["dad"],
        open=row["open"],
        replies=row["replies"],
        code=row["code"],
        output=decode(row["output"]),
        hook=decode(row["hook"]),
        error=None if error is None else Fault.from_dict(error),
        opened_at=from_datetime(row["opened_at"]),
        settled_at=None if row["settled_at"] is None else from_datetime(row["settled_at"]),
    )


def saved_job(job: Job, run_id: int, *, with_metadata: bool) -> SavedJob:
    """A job as the table will have it."""
    return SavedJob(
        run_id,
        job.state,
        job.status,
        encode(job.data, f"the data of job {job.jid!r}"),
        error_text(job.error),
        encode(job.metadata, f"the metadata of job {job.jid!r}") if with_metadata else None,
        job.finished_at is not None,
    )


def saved_instance(instance: Instance, run_id: int, jid: str) -> SavedInstance:
    """What an activity did, as the table will have it."""
    where = f"activity {instance.aid!r} of job {jid!r}"
    return SavedInstance(
        run_id,
        instance.dad,
        instance.aid,
        instance.open,
        instance.replies,
        instance.code,
        None if instance.input is None else encode(instance.input, f"the input of {where}"),
        None if instance.output is None else encode(instance.output, f"the output of {where}"),
        None if instance.hook is None else encode(instance.hook, f"what was signalled to {where}"),
        error_text(instance.error),
        instance.settled_at is not None,
    )


def saved_state(state: StateChange, run_id: int) -> SavedState:
    """What a step changed of a job's attributes, document and markers."""
    return SavedState(
        run_id,
        state.entity,
        None if state.attributes is None else encode(state.attributes, "attributes"),
        None if state.document is None else encode(state.document, "an entity"),
        encode(state.markers, "markers") if state.markers else None,
    )


def error_text(error: Fault | None) -> str | None:
    """An error as JSON text."""
    return None if error is None else encode(error.to_dict(), "an error")


def reply_text(reply: Reply, only: int | None = None) -> str:
    """A reply as a message; the kind is the message's type.

    `only` is the run for which a signal is, where it is not for whoever waits.
    """
    out: dict[str, object] = {"status": reply.status, "code": reply.code, "data": reply.data}
    if only is not None:
        out["only"] = only
    if reply.error is not None:
        out["error"] = reply.error.to_dict()
    if reply.state:
        out["state"] = reply.state
    return encode(out, f"a {reply.kind}")


def given_text(reply: Reply) -> str:
    """The text of what a callback or caller has given, of a size that its statement can bear.

    Raises `PayloadError` for a value that is not JSON, or is too large.
    """
    text = reply_text(reply)
    if len(text) > BYTES_MAX:
        raise PayloadError(
            f"a {reply.kind} takes {len(text):,} characters of JSON, and at most {BYTES_MAX:,} are"
            " written: store it elsewhere, such as in a file, and pass where"
        )
    return text


def reply_of(kind: MessageKind, message: str | None) -> Reply:
    """The inverse of `reply_text`."""
    found = decode(message) or {}
    error = found.get("error")
    return Reply(
        kind,
        found.get("data") or {},
        found.get("status", "success"),
        found.get("code", OK),
        None if error is None else Fault.from_dict(error),
        tuple(found.get("state", ())),
    )


def reply_from(kind: MessageKind, answer: object, what: str) -> Reply:
    """What a callback or caller gave as an answer, made whole.

    Code and status explain each other: 202 is pending, 400 and more are errors. An error's message
    is taken from the data.

    Raises `TypeError` for any other value.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("data", {}), dict | None):
        raise TypeError(
            f'{what} must be a dict such as {{"data": {{...}}}}, and is {answer!r:.200}'
        )
    known = ("data", "metadata", "status", "code", "stack", "state")
    if unknown := sorted(answer.keys() - {*known, "type"}):
        raise TypeError(f"{what} has unknown keys {unknown}; known are {', '.join(known)}")
    if wrong := next(complaints(answer.get("state", ())), None):
        raise TypeError(f"{what}: state[{wrong[0]}]: {wrong[1]}")
    data = answer.get("data") or {}
    status, code = _explained(answer.get("status"), answer.get("code"), what)
    error = None
    if status == "error":
        message = str(data.get("message", "")) or f"{what} has status error and code {code}"
        stack = str(answer.get("stack") or data.get("stack", ""))
        error = Fault(code, message, stack=stack, details=data or None)
    return Reply(kind, data, status, code, error, tuple(answer.get("state", ())))


def _explained(status: object, code: Any, what: str) -> tuple[str, int]:
    if status not in (None, "success", "pending", "error"):
        raise TypeError(f"{what} has status {status!r}; it is success, pending or error")
    if code is not None and (isinstance(code, bool) or not _is_code(code)):
        raise TypeError(f"{what} has code {code!r:.50}; it is a whole number such as 200")
    if status is None:
        status = "success"
        if code == PENDING:
            status = "pending"
        elif code is not None and code >= 400:  # noqa: PLR2004 - as in HTTP
            status = "error"
    return status, code or {"success": OK, "pending": PENDING, "error": FAILED}[status]


def _is_code(code: object) -> bool:
    return isinstance(code, int) and abs(code) <= COUNT_MAX  # as the column holds it
