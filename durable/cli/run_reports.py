"""Runs as text for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

from durable.cli.output import wall_clock
from durable.cli.tables import Part, columns, state_cell, timeline
from durable.protocol.failures import Failure, report, summary
from durable.protocol.retry import FOR_EVER
from durable.telemetry.terminal import shown, shown_json

if TYPE_CHECKING:
    from durable.client.handle import HistoryEvent
    from durable.store.jobs import ActivityAttempt, RunDescription, RunSummary

_WIDTH: Final = 60  # characters of a value that are shown on a line
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def runs_shown(runs: Sequence[RunSummary], total: int) -> Iterator[Part]:
    """A row for each run, below titles."""
    if not runs:
        yield "no runs"
        return
    titles = "ID", "WORKFLOW", "QUEUE", "STATE", "STARTED", "TOOK"
    table = columns(*titles, whole=("STATE", "TOOK"))
    for run in runs:
        took = run.finished_at and span((run.finished_at - run.started_at).total_seconds())
        names = map(shown, (run.id, run.workflow, run.task_queue))
        table.add_row(*names, state_cell(run.state), _at(run.started_at), took or "")
    yield table
    if total > len(runs):
        yield f"… and {total - len(runs)} more: use --limit or a filter"


def run_shown(run: RunDescription, history: Sequence[HistoryEvent]) -> Iterator[Part]:
    """All that is known of a run."""
    parts: tuple[Iterator[Part], ...] = (
        _head(run), _timeline(run, history), _open_steps(run, history), _attempts(run),
        _put_aside(run), _state(run), _ending(run), _next(run),
    )  # fmt: skip
    for part in chain.from_iterable(parts):
        yield shown(part) if isinstance(part, str) else part


def span(seconds: float) -> str:
    """A length of time in its two largest units.

    Example:
        >>> span(0.0123), span(75), span(90_000)
        ('12 ms', '1 min 15 s', '1 d 1 h')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.3g} s"
    for unit, name, lesser, small in (
        (_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1, "s")
    ):  # fmt: skip
        if seconds >= unit:
            rest = int(seconds % unit // lesser)
            return f"{int(seconds // unit)} {name}" + (f" {rest} {small}" if rest else "")
    return ""


def _head(run: RunDescription) -> Iterator[str]:
    yield f"{run.id}  {run.workflow}  {run.state}"
    version = f" · version {run.version}" if run.version else ""
    yield f"  run {run.run_id} · queue {run.task_queue}{version}"
    if run.finished_at is None:
        yield f"  started {_at(run.started_at)} ({_when(run.started_at)})"
    else:
        took = span((run.finished_at - run.started_at).total_seconds())
        yield f"  started {_at(run.started_at)}, ended after {took}"
    yield f"  input  {_short(run.input)}"
    if run.state == "completed":
        yield f"  result {_short(run.output)}"


def _timeline(run: RunDescription, history: Sequence[HistoryEvent]) -> Iterator[Part]:
    failed: dict[int, int] = {}
    for attempt in run.activities:
        if attempt.state == "failed":
            failed[attempt.number] = max(failed.get(attempt.number, 0), attempt.attempt)
    yield ""
    yield "What happened"
    rows = timeline()
    for event in history:
        passed = span((event.at - run.started_at).total_seconds())
        name = f"#{event.step} {event.name}" if event.step else event.name
        if event.kind != "timer" and failed.get(event.step):
            name += f" (attempt {failed[event.step] + 1})"
        end = _said(event.failure) if event.failure else _value(event)
        if event.graph_version is not None:
            end += f"  (from here on version {event.graph_version} of the graph)"
        rows.add_row(str(event.revision), f" +{passed}", *map(shown, (event.kind, name, end)))
    yield rows if history else f"  {_why_empty(run)}"


def _why_empty(run: RunDescription) -> str:
    """Why nothing of a run is recorded; the end of one is, so it is open."""
    if run.state == "suspended":
        return "nothing is recorded: it was suspended at its first step"
    if run.worker:
        return (
            "nothing yet: a worker has it; its code is at its first step, or awaits a signal or an"
            " event"
        )
    return "nothing yet: no worker has taken it"


def _value(event: HistoryEvent) -> str:
    if event.kind == "started":
        return ""
    return "" if event.data is None else f"→ {_short(event.data)}"


def _open_steps(run: RunDescription, history: Sequence[HistoryEvent]) -> Iterator[str]:
    if run.finished_at is not None or not history:
        return
    settled = {event.step for event in history}
    written = [step for step in run.pending if step["number"] not in settled]
    yield ""
    if not run.open_steps:
        yield (
            f"Open: no step; it waits for a signal: durable signal {quote(run.id)} NAME JSON"
            " (or for what its own code has to bring: a lock, an event, a predicate)"
        )
    else:
        yield f"Open: {run.open_steps} step{'' if run.open_steps == 1 else 's'}"
    newest = {attempt.number: attempt for attempt in run.activities}
    for step in written:
        number = step["number"]
        parts = (f"#{number} {step['kind']}", _named(step), _standing(step, newest.get(number)))
        yield "  " + " ".join(part for part in parts if part)
    if (more := run.open_steps - len(written)) > 0:
        yield f"  and {more} that began a moment ago"


def _named(step: dict[str, Any]) -> str:
    return "" if step["kind"] == "timer" else str(step["name"])


def _standing(step: dict[str, Any], attempt: ActivityAttempt | None) -> str:
    if step.get("due") is not None:
        due = datetime.fromtimestamp(step["due"], tz=wall_clock().tzinfo)
        return f"due {_at(due)} ({_when(due)})"
    waits = f"waiting for {step['waits_for']}" if "waits_for" in step else ""
    if attempt is None:
        return waits
    which = _which(attempt)
    if attempt.state == "running":
        return f"{which}, running"
    if attempt.visible_at > wall_clock():
        return f"{which}, next try {_at(attempt.visible_at)} ({_when(attempt.visible_at)})"
    return f"{which}, {waits or f'waiting for a worker of queue {attempt.task_queue}'}"


def _which(attempt: ActivityAttempt) -> str:
    limit = "" if attempt.maximum_attempts >= FOR_EVER else f" of {attempt.maximum_attempts}"
    return f"attempt {attempt.attempt}{limit}"


def _attempts(run: RunDescription) -> Iterator[str]:
    failures = [a for a in run.activities if a.failure is not None]
    if not failures:
        return
    yield ""
    is_lost = any(attempt.state == "lost" for attempt in failures)
    yield "Attempts that failed or were lost" if is_lost else "Failed attempts"
    if run.earlier_attempts:
        yield f"  … and {run.earlier_attempts} before these"
    for attempt in failures:
        which = _which(attempt)
        yield f"  #{attempt.number} {attempt.name}, {which}: {_said(attempt.failure)}"


def _put_aside(run: RunDescription) -> Iterator[str]:
    if not run.put_aside:
        return
    yield ""
    yield "Signals that its code could not read, and that were put aside"
    for aside in run.put_aside:
        yield f"  {_at(aside.at)}  {aside.name} {_short(aside.payload)}: {_said(aside.failure)}"
    if run.finished_at is None:
        yield f"Next: fix the code and restart the worker, then: durable resume {quote(run.id)}"


def _state(run: RunDescription) -> Iterator[str]:
    if not run.attributes and run.entity is None:
        return
    yield ""
    yield "Attributes and entity"
    for name, value in sorted(run.attributes.items()):
        yield f"  {name} = {_short(value)}"
    for name, value in sorted((run.entity or {}).items()):
        yield f"  .{name} {_short(value)}"


def _ending(run: RunDescription) -> Iterator[str]:
    if run.failure is None:
        return
    yield ""
    yield {"suspended": "Why it is suspended", "failed": "Why it failed"}.get(run.state, "Why")
    yield from report(run.failure, "  ")


def _next(run: RunDescription) -> Iterator[str]:
    """What to do about it, where there is something to do."""
    if run.state == "suspended":
        yield ""
        if run.failure is not None and run.failure.type == "DescriptorError":
            wanted = (
                "durable deploy FILE --open-runs, or durable deploy --reset --open-runs --queue"
                f" {quote(run.task_queue)}"
            )
        else:
            wanted = "fix the code and restart the worker"
        yield f"Next: {wanted}; then: durable resume {quote(run.id)}"
    elif run.finished_at is None and run.worker is None:
        if run.paused:
            yield ""
            yield (
                f"Next: a throttle pauses {run.workflow} on queue {run.task_queue}; throttle(0) of"
                f" HotMesh with app_id={run.task_queue!r} ends that"
            )
            return
        is_due = run.wakes_at is not None and run.wakes_at <= wall_clock()
        if is_due or run.revision == 0:
            yield ""
            yield (
                f"Next: no worker holds it; serve its queue: durable worker MODULE --queue"
                f" {quote(run.task_queue)}"
            )


def _said(failure: Failure | None) -> str:
    return "" if failure is None else summary(failure)


def _short(value: object) -> str:
    text = shown_json(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _when(time: datetime) -> str:
    ahead = (time - wall_clock()).total_seconds()
    return f"in {span(ahead)}" if ahead > 0 else f"{span(-ahead)} ago"
