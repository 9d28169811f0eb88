"""Modules and files of users: imported, and searched for what is decorated in them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from durable.authoring.activity import Activity
from durable.authoring.workflow import Workflow
from durable.cli.command import split
from durable.errors import ConfigurationError, DurableError
from durable.replay.definitions import ActivityDefinition

DEFAULT_QUEUE = "default"


@dataclass(slots=True)
class Served:
    """What one task queue serves."""

    queue: str
    workflows: dict[str, Workflow[..., object]] = field(default_factory=dict)
    activities: dict[str, Activity[..., object]] = field(default_factory=dict)


def collect(target: str, queue: str | None = None) -> list[Served]:
    """The definitions of a module, by task queue.

    Args:
        target: "package.module", a path to a file, or either with ":attribute" (one definition,
            or a list of them).
        queue: for workflows that name no queue of their own.

    An activity without a queue is served on the queue of every workflow. What only stands in
    modules that this one imports is not served: `elsewhere` names it.

    Raises `ConfigurationError` when it cannot be imported, or holds nothing that is decorated.
    """
    name, attribute = split(target)
    module = load(name)
    found = list(_definitions([vars(module).get(attribute)] if attribute else module))
    if not found:
        raise ConfigurationError(
            f"there is no @durable.workflow and no @durable.activity in {target}:"
            " name a module that defines or imports them"
        )
    return _by_queue(found, DEFAULT_QUEUE if queue is None else queue)


def elsewhere(served: Served) -> list[str]:
    """What the workflows of a queue call by name that is not served with them: a line for each."""
    lines: dict[tuple[str, str], str] = {}
    for workflow in served.workflows.values():
        for called in workflow.definition.calls():
            own = called.options.task_queue
            if own is not None and own != served.queue:
                continue
            is_activity = isinstance(called, ActivityDefinition)
            kind = "activity" if is_activity else "workflow"
            there: Mapping[str, Any] = served.activities if is_activity else served.workflows
            found = there.get(called.name)
            if found is not None and found.definition.site == called.site:
                continue
            call = f"{workflow.name} calls the {kind} {called.name!r} of {called.site}"
            lines.setdefault(
                (kind, called.name),
                f"{call}, which is not served here: others must, or import its name in this module"
                if found is None
                else f"{call}; served under that name is {found.definition.site}",
            )
    return list(lines.values())


def workflow_of(target: str) -> Workflow[..., object]:
    """The workflow that "module:name" names, by attribute or by its own name."""
    name, attribute = split(target)
    module = load(name)
    found = [d for d in _definitions(module) if isinstance(d, Workflow)]
    for candidate in found:
        if candidate is getattr(module, attribute, None) or candidate.name == attribute:
            return candidate
    there = ", ".join(sorted({w.name for w in found})) or "none"
    if not attribute:
        raise ConfigurationError(
            f"{target} names no workflow: write {name}:WORKFLOW; there is {there}"
        )
    raise ConfigurationError(f"{name} has no workflow {attribute!r}; there is {there}")


def load(name: str) -> ModuleType:
    """Import a module by its name, with the working directory on the path, or a file by its path.

    Raises `ConfigurationError` that says where the import failed.
    """
    is_path = name.endswith(".py") or "/" in name
    root, dotted = _place(Path(name)) if is_path else (Path.cwd(), name)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        module = importlib.import_module(dotted)
    except ModuleNotFoundError as error:
        if error.name is not None and (dotted == error.name or dotted.startswith(error.name + ".")):
            raise ConfigurationError(
                f"there is no module {dotted!r}: name one that can be imported from {root},"
                " or a path such as ./orders.py"
            ) from error
        raise _failed(name, error) from error
    except DurableError:
        raise
    except Exception as error:  # a user's module may raise anything
        raise _failed(name, error) from error
    if is_path and Path(module.__file__ or "").resolve() != Path(name).resolve():
        raise ConfigurationError(
            f"{name} would be imported as {dotted!r}, which is {module.__file__}: rename the file"
        )
    return module


def _place(path: Path) -> tuple[Path, str]:
    """The directory to import a file from, and its dotted name there."""
    if not path.is_file():
        raise ConfigurationError(f"there is no file {path}")
    path = path.resolve()
    parts, directory = [path.stem], path.parent
    while (directory / "__init__.py").exists():
        parts.insert(0, directory.name)
        directory = directory.parent
    return directory, ".".join(parts)


def _failed(name: str, error: Exception) -> ConfigurationError:
    frames = traceback.extract_tb(error.__traceback__)
    inside = [f for f in frames if "importlib" not in f.filename and f.filename != __file__]
    site = f" at {inside[-1].filename}:{inside[-1].lineno}" if inside else ""
    if isinstance(error, SyntaxError) and error.filename:
        site = f" at {error.filename}:{error.lineno}"
    return ConfigurationError(f"{name} cannot be imported: {type(error).__name__}: {error}{site}")


def _definitions(
    source: ModuleType | Iterable[object],
) -> Iterator[Workflow[..., object] | Activity[..., object]]:
    """All that is decorated among the values, or within a list of them."""
    values: Iterable[object] = vars(source).values() if isinstance(source, ModuleType) else source
    for value in values:
        if isinstance(value, (Workflow, Activity)):
            yield value
        elif isinstance(value, (list, tuple)) and not isinstance(source, ModuleType):
            yield from _definitions(value)


def _by_queue(
    found: list[Workflow[..., object] | Activity[..., object]], default: str
) -> list[Served]:
    queues: dict[str, Served] = {}

    def at(name: str) -> Served:
        return queues.setdefault(name, Served(name))

    for flow in found:
        if isinstance(flow, Workflow):
            options = flow.definition.options
            _add(at(options.task_queue or default).workflows, flow)
    everywhere = [served.queue for served in queues.values()] or [default]
    for step in found:
        if isinstance(step, Activity):
            own = step.definition.options.task_queue
            for name in [own] if own is not None else everywhere:
                _add(at(name).activities, step)
    return [queues[name] for name in sorted(queues)]


def _add(there: dict[str, Any], definition: Any) -> None:
    """Note a definition; a copy of one by `.options(…)` runs the same function."""
    other = there.setdefault(definition.name, definition)
    if other.definition.fn is not definition.definition.fn:
        raise ConfigurationError(
            f"two functions are named {definition.name!r}, at {other.definition.site} and at"
            f" {definition.definition.site}: give one of them name=…"
        )
