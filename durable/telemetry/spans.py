"""Spans for OpenTelemetry, by its API alone: without a provider nothing is made, and nothing costs.

A job carries the trace in which it was started, as `trc` and `spn` of its metadata (32 and 16
hexadecimal digits, as in a W3C traceparent); `trf` 0 says that the trace is not sampled. Spans of
its activities, of its callbacks and of the jobs that it awaits are children of the span of its
start, whichever process they are made in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry import context, trace
from opentelemetry.trace import (
    NonRecordingSpan,
    NoOpTracerProvider,
    ProxyTracerProvider,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

_TRACE: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN: Final = re.compile(r"(?!0{16})[0-9a-f]{16}")
_VALUES: Final = (str, bool, int, float)


@dataclass(frozen=True, slots=True)
class Leg:
    """A span to be made once its step is committed; moments are Unix seconds.

    Args:
        trace: the metadata of its job.
        error: what went wrong, None when nothing did.
    """

    name: str
    began: float
    ended: float
    attributes: Mapping[str, object]
    trace: Mapping[str, object]
    error: str | None = None


def tracing() -> bool:
    """Whether somebody has set up a provider, so that spans are worth making."""
    provider = trace.get_tracer_provider()
    return not isinstance(provider, (ProxyTracerProvider, NoOpTracerProvider))


def made(legs: Sequence[Leg]) -> None:
    """Make these spans."""
    if not legs:
        return
    tracer = trace.get_tracer_provider().get_tracer("durable")
    for leg in legs:
        span = tracer.start_span(
            leg.name, _parent(leg.trace), start_time=round(leg.began * 1e9),
            attributes={k: v for k, v in leg.attributes.items() if isinstance(v, _VALUES)},
        )  # fmt: skip
        if leg.error is not None:
            span.set_status(Status(StatusCode.ERROR, leg.error))
        span.end(round(leg.ended * 1e9))


@contextmanager
def starting(
    name: str, given: Mapping[str, object]
) -> Iterator[tuple[dict[str, object], Callable[[str, Any], None]]]:
    """The span of a job's start: what the job's metadata say of it, and a way to add attributes.

    Its parent is what the caller gave (`trc`, `spn`), or else the current span. An exception that
    leaves the block is recorded. Without a provider the metadata stay as they were given.
    """
    if not tracing():
        yield {}, lambda _name, _value: None
        return
    parent = _parent(given) if known(given) else None
    with _current(name, parent, SpanKind.PRODUCER) as span:
        yield _metadata(span.get_span_context()), span.set_attribute


@contextmanager
def working(name: str, attributes: Mapping[str, Any]) -> Iterator[None]:
    """The span of a callback, current while it runs; the trace is taken from the attributes.

    Without a provider it is nothing.
    """
    if not tracing():
        yield
        return
    with _current(name, _parent(attributes), SpanKind.CONSUMER) as span:
        for key in ("jid", "aid", "dad", "topic", "try"):
            span.set_attribute(f"app.stream.{key}", attributes[key])
        yield


def known(metadata: Mapping[str, object]) -> bool:
    """Whether metadata name a trace."""
    trc, spn = metadata.get("trc"), metadata.get("spn")
    return bool(
        isinstance(trc, str) and _TRACE.fullmatch(trc)
        and isinstance(spn, str) and _SPAN.fullmatch(spn)
    )  # fmt: skip


def carried(metadata: Mapping[str, object]) -> dict[str, object]:
    """What of metadata names the trace, to be handed on."""
    return {key: metadata[key] for key in ("trc", "spn", "trf") if key in metadata}


@contextmanager
def _current(name: str, parent: context.Context | None, kind: SpanKind) -> Iterator[Span]:
    tracer = trace.get_tracer_provider().get_tracer("durable")
    with tracer.start_as_current_span(name, parent, kind) as span:
        yield span


def _parent(metadata: Mapping[str, Any]) -> context.Context:
    """The context in which spans are children of what metadata name; an empty one for none."""
    empty = context.Context()
    if not known(metadata):
        return empty
    flags = TraceFlags.DEFAULT if metadata.get("trf") == 0 else TraceFlags.SAMPLED
    named = SpanContext(
        int(metadata["trc"], 16), int(metadata["spn"], 16), is_remote=True,
        trace_flags=TraceFlags(flags),
    )  # fmt: skip
    return trace.set_span_in_context(NonRecordingSpan(named), empty)


def _metadata(span: SpanContext) -> dict[str, object]:
    found: dict[str, object] = {
        "trc": trace.format_trace_id(span.trace_id),
        "spn": trace.format_span_id(span.span_id),
    }
    return found if span.trace_flags.sampled else {**found, "trf": 0}
