"""What workflows take, for callers who have only a name: read from what their workers deployed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from durable.descriptor.schema_mismatch import mismatch
from durable.errors import ConfigurationError, PayloadError
from durable.protocol.limits import check_name
from durable.store.jobs import JobStore

if TYPE_CHECKING:
    from durable.client.interfaces import Interface, Schema

BELIEVED: Final = 10.0  # seconds for which arguments are judged by what was read
_KEPT_MAX: Final = 1_000

K = TypeVar("K")
V = TypeVar("V")


class InterfaceChecker:
    """What the workers of task queues have deployed, as far as somebody asked.

    A document never changes under its version, so each is read once. What no worker has deployed
    yet, or a version of durable that this one cannot read, is not checked.
    """

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self._documents: dict[tuple[str, str], Mapping[str, Interface]] = {}
        self._newest: dict[tuple[str, str], tuple[float, Interface]] = {}

    async def check_arguments(self, queue: str, workflow: str, text: str) -> None:
        """Raise `PayloadError` unless the workflow may be called with these arguments.

        Args:
            queue: the task queue that it is to run on.
            workflow: its name.
            text: the arguments, as a JSON list.

        What fits what was read a moment ago is believed to; nothing is refused by it.
        """
        key = queue, workflow
        arguments = json.loads(text)
        read_at, known = self._newest.get(key, (0.0, None))
        if (
            known is not None
            and time.monotonic() - read_at <= BELIEVED
            and _wrong(workflow, known.arguments, arguments) is None
        ):
            return
        now = time.monotonic()
        found = await self._interface(queue, workflow, await self._jobs.deployed_to(queue))
        self._newest.pop(key, None)
        if found is None:
            return
        _keep(self._newest, key, (now, found))
        if wrong := _wrong(workflow, found.arguments, arguments):
            raise PayloadError(f"{wrong}; nothing was started")

    async def workflows(self, queue: str) -> set[str]:
        """The names of all workflows that workers of a task queue have deployed lately."""
        versions = await self._jobs.deployed_to(queue)
        return {name for v in versions for name in await self._of_version(queue, v)}

    async def check_named(self, queue: str, workflow: str, arguments: Schema) -> bool:
        """Raise `PayloadError` unless the workflow may be called with arguments by these names.

        False where no worker of the task queue has deployed it.
        """
        found = await self._interface(queue, workflow, await self._jobs.deployed_to(queue))
        if found is None:
            return False
        if wrong := _wrong_named(workflow, found.arguments, arguments):
            raise PayloadError(f"{wrong}; nothing was started")
        return True

    async def check_signal(self, run_id: int, name: str, text: str) -> None:
        """Raise unless the run's workflow declares the signal and the payload may be one.

        Args:
            run_id: the run.
            name: the signal's.
            text: its payload, encoded.

        Raises:
            ConfigurationError: the workflow has no signal of this name; says which there are.
            PayloadError: the payload does not fit the declared type.
        """
        check_name("signal", name, "handle.signal()")
        workflow, queue, versions = await self._jobs.deployed_for(run_id)
        found = await self._interface(queue, workflow, versions)
        if found is None:
            return
        properties = found.signals.get("properties", {})
        if name in properties:
            # References lead to definitions within the payload's own schema.
            if wrong := mismatch(properties[name], json.loads(text)):
                raise PayloadError(
                    f"the signal {name!r} of the workflow {workflow!r}: {wrong}; nothing was sent"
                )
        elif found.signals.get("additionalProperties") is False:
            known = ", ".join(map(repr, properties)) or "none"
            raise ConfigurationError(
                f"the workflow {workflow!r} has no signal {name!r}; there are: {known}"
            )

    async def _interface(
        self, queue: str, workflow: str, versions: Sequence[str]
    ) -> Interface | None:
        """By the first of these versions that has the workflow."""
        for version in versions:
            known = await self._of_version(queue, version)
            if workflow in known:
                return known[workflow]
        return None

    async def _of_version(self, queue: str, version: str) -> Mapping[str, Interface]:
        known = self._documents.get((queue, version))
        if known is None:
            document = await self._jobs.document(queue, version)
            # Hundreds of graphs take a second to read, in which others want the loop.
            known = await asyncio.to_thread(_interfaces, document)
            _keep(self._documents, (queue, version), known)
        return known


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    """Keep a value, and no more than some: the oldest goes."""
    kept[key] = value
    if len(kept) > _KEPT_MAX:
        del kept[next(iter(kept))]


def _interfaces(document: str | None) -> Mapping[str, Interface]:
    from durable.client.interfaces import interfaces  # noqa: PLC0415 - loads long; in a thread

    return {} if document is None else interfaces(document)


def _wrong(workflow: str, schema: Schema, arguments: list[Any]) -> str | None:
    """What is wrong with positional arguments, None when nothing is."""
    if "properties" not in schema:
        return None  # of a type that has no schema: nothing is known
    names = list(schema["properties"])
    positional = schema.get("x-positional", names)
    named = dict(zip(positional, arguments, strict=False))
    takes = f"the workflow {workflow!r} takes ({', '.join(names)})"
    if len(arguments) > len(positional):
        if (rest := schema.get("x-rest")) is None:
            return f"{takes}, and was given {len(arguments)} arguments"
        named[rest] = arguments[len(positional) :]
    return _wrong_named(workflow, schema, named)


def _wrong_named(workflow: str, schema: Schema, named: Mapping[str, Any]) -> str | None:
    """What is wrong with arguments by name, None when nothing is."""
    if "properties" not in schema:
        return None  # of a type that has no schema: nothing is known
    takes = f"the workflow {workflow!r} takes ({', '.join(schema['properties'])})"
    missing = [repr(name) for name in schema.get("required", ()) if name not in named]
    if missing:
        return f"{takes}, and was not given {', '.join(missing)}"
    if wrong := mismatch(schema, dict(named), "arguments"):
        return f"the workflow {workflow!r}: {wrong.removeprefix('arguments.')}"
    return None
