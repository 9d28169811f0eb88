"""What may be signalled to a run by name: read from the descriptor that its workers deployed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from durable.descriptor.document import load
from durable.descriptor.fitting import misfit
from durable.descriptor.model import App, Hook
from durable.errors import ConfigurationError, DescriptorError, PayloadError
from durable.protocol.limits import check_name
from durable.store.jobs import JobStore

_SIGNAL = ".signal"  # the activity of a generated graph that stands open for signals


async def check_signal(jobs: JobStore, run_id: int, name: str, text: str) -> None:
    """Raise unless the run's workflow declares the signal and the payload may be one.

    Args:
        jobs: where runs and what is deployed for them are found.
        run_id: the run.
        name: the signal's.
        text: its payload, encoded.

    Raises:
        ConfigurationError: the workflow has no signal of this name; says which there are.
        PayloadError: the payload does not fit the declared type.

    What no worker has deployed yet cannot be checked, and is let through.
    """
    check_name("signal", name, "handle.signal()")
    workflow, documents = await jobs.deployed(run_id)
    schema = next((s for d in documents if (s := _schema(d, workflow)) is not None), None)
    if schema is None:
        return
    properties = schema.get("properties", {})
    if name in properties:
        # References lead to definitions within the payload's own schema.
        if wrong := misfit(properties[name], json.loads(text)):
            raise PayloadError(
                f"the signal {name!r} of the workflow {workflow!r}: {wrong}; nothing was sent"
            )
    elif schema.get("additionalProperties") is False:
        known = ", ".join(map(repr, properties)) or "none"
        raise ConfigurationError(
            f"the workflow {workflow!r} has no signal {name!r}; there are: {known}"
        )


def _schema(document: str, workflow: str) -> Mapping[str, Any] | None:
    """The schema of what may be signalled, {} where it says nothing; None without the workflow."""
    try:
        app: App = load(document)
    except DescriptorError:  # of another version of durable: it cannot be asked
        return None
    for graph in app.graphs:
        hook = graph.activities.get(_SIGNAL)
        if graph.subscribes == workflow and isinstance(hook, Hook) and hook.hook is not None:
            return hook.hook.schema_ or {}
    return None
