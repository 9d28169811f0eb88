"""From YAML to the model and back, and the hash by which contents differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ValidationError

from durable.descriptor.commands import Plain
from durable.descriptor.document_warnings import warnings_of
from durable.descriptor.expressions.expression import Path as Where
from durable.descriptor.files import read_file
from durable.descriptor.findings import Finding, from_pydantic, refuse
from durable.descriptor.hashes import Hashes, digest
from durable.descriptor.layout import to_yaml
from durable.descriptor.model import App
from durable.descriptor.parts import Part
from durable.descriptor.shared import is_for_functions
from durable.descriptor.validation import findings_of
from durable.descriptor.yaml_reader import DEPTH_LIMIT, Mark, read

_FIRST = (
    "title", "type", "subtype", "topic", "taskQueue", "ancestor", "target", "reentrant", "retry",
)  # fmt: skip


class Document(Part):
    """The whole document: an app."""

    app: App


def load(
    source: str | Path | Mapping[str, object], warn: Callable[[str], object] | None = None
) -> App:
    """Read, check and return an app.

    Args:
        source: YAML text, a path to a YAML file (a text of one line that does not begin with
            `app:` is a path), or the document as plain data. From a path `$ref: ./other.yaml`
            brings in other files.
        warn: called with a line for everything that stands there without effect.

    Raises `DescriptorError` with one line per finding: line, path, and what is wrong.

    Example:
        >>> app = load("app: {id: a, version: 1, graphs: [{subscribes: t, activities: "
        ...            "{t1: {type: trigger}}}]}")
        >>> app.graphs[0].subscribes, app.version
        ('t', '1')
    """
    app, marks = load_marked(source)
    if warn is not None:
        for finding in warnings_of(app):
            warn(finding.text(marks))
    return app


def load_marked(source: str | Path | Mapping[str, object]) -> tuple[App, Mark | None]:
    """As `load`, with the lines at which its parts stand: for further findings."""
    app, marks = _shaped(source)
    refuse(findings_of(app), marks)
    return app, marks


def load_stored(text: str) -> App:
    """As `load`, for what was checked when it was stored.

    What is refused today, and was not then (a pattern, for one), ends the job that comes to it: it
    does not keep the engines of the app from the whole version.
    """
    return _shaped(text)[0]


def _shaped(source: str | Path | Mapping[str, object]) -> tuple[App, Mark | None]:
    data, marks = _read(source)
    try:
        return Document.model_validate(data).app, marks
    except ValidationError as error:
        found = from_pydantic(error.errors(include_url=False, include_context=False), data)
        refuse(found, marks)
        raise


def _read(source: str | Path | Mapping[str, object]) -> tuple[object, Mark | None]:
    if isinstance(source, Mapping):
        refuse(_unwritable(source), None)
        return source, None
    if isinstance(source, str) and not _is_path(source):
        return read(source)
    return read_file(Path(source))


def path_of(source: str | Path | Mapping[str, object]) -> Path | None:
    """The file that a source names, None where it is the document itself.

    Example:
        >>> path_of("calc.yaml").name, path_of("app: {}")
        ('calc.yaml', None)
    """
    if isinstance(source, Path):
        return source
    return Path(source) if isinstance(source, str) and _is_path(source) else None


def _unwritable(data: Mapping[str, object]) -> list[Finding]:
    """What pydantic lets pass in plain data, though YAML text could not have brought it."""
    findings: list[Finding] = []
    waiting: list[tuple[Where, object]] = [((), data)]
    while waiting:
        where, value = waiting.pop()
        if len(where) > DEPTH_LIMIT:
            return [Finding(where[:3], f"it is nested deeper than {DEPTH_LIMIT} levels")]
        if isinstance(value, float) and not math.isfinite(value):
            findings.append(Finding(where, "JSON knows no infinity and no NaN"))
        elif isinstance(value, Mapping):
            waiting.extend(((*where, str(key)), inner) for key, inner in value.items())
        elif isinstance(value, (list, tuple)):
            waiting.extend(((*where, index), inner) for index, inner in enumerate(value))
    return findings


def _is_path(text: str) -> bool:
    stripped = text.strip()
    return bool(stripped) and "\n" not in stripped and not stripped.startswith(("app:", "{"))


def dump(app: App) -> str:
    """The app as YAML for people; `load(dump(app)) == app`.

    Short entries stand on one line, nothing is wider than 120 columns (but for very long names),
    the order of graphs, activities and transitions is kept, and defaults are left out.
    """
    return to_yaml({"app": plain(app)})


def plain(app: App) -> Plain:
    """The app as plain data, without defaults, the fields of activities in a fixed order."""
    data = app.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    for part in (data.get("shared") or {}, *data["graphs"]):
        if "activities" in part:
            activities = part["activities"]
            part["activities"] = {aid: _ordered(fields) for aid, fields in activities.items()}
    return data


def _ordered(fields: Mapping[str, object]) -> dict[str, object]:
    first = {name: fields[name] for name in _FIRST if name in fields}
    return {**first, **fields}


def content_hash(app: App) -> str:
    """Hex digits that differ with the contents: 16 for an app of functions, as `Hashes`, else 8.

    Versions do not count, nor does the order of activities and of mapped keys; that of transitions
    does.
    """
    data = dict(plain(app))
    if is_for_functions(app):
        return Hashes(data).app
    del data["version"]
    for graph in data["graphs"]:
        graph.pop("version", None)
    return digest(data, 8)
