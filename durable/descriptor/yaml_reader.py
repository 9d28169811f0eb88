"""YAML read with care: plain JSON data, and the line of every key and item.

Scalars follow YAML 1.2 and JSON: `yes`, `on`, `1:30` and dates are text. Refused are duplicate
keys, tags, more than one document, what JSON cannot hold, and documents that are too large, too
deep, or grow too large by aliases.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml

from durable.descriptor.expressions.expression import Path
from durable.errors import DescriptorError

SIZE_LIMIT = 4 * 1024 * 1024  # characters of a document
DEPTH_LIMIT = 100  # nested mappings and lists
NODE_LIMIT = 200_000  # keys, values and items, those repeated by aliases counted again

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN: Final = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_JSON: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_STR_TAGS: Final = frozenset({None, "!", "tag:yaml.org,2002:str"})
_MERGE: Final = "<<"


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a value stands: its line, counted from 1, and the marks of what is in it."""

    line: int
    inner: Mapping[str | int, Mark] = field(default_factory=dict)


def line_at(mark: Mark, path: Path) -> int:
    """The line of what lies at the path, or of the innermost thing around it that has one."""
    for step in path:
        inner = mark.inner.get(step)
        if inner is None:
            break
        mark = inner
    return mark.line


def read(text: str) -> tuple[object, Mark]:
    r"""The data of a YAML document, and its marks.

    Raises `DescriptorError`, with line and column, for what is no YAML or is refused here.

    Example:
        >>> data, mark = read("app:\n  id: orders")
        >>> data, line_at(mark, ("app", "id"))
        ({'app': {'id': 'orders'}}, 2)
    """
    if len(text) > SIZE_LIMIT:
        raise DescriptorError(f"the document is longer than {SIZE_LIMIT:,} characters")
    if halves := re.search("[\ud800-\udfff]", text):
        line = text.count("\n", 0, halves.start()) + 1
        raise DescriptorError(f"line {line}: half of a surrogate pair is no character")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder(yaml.parse(text, loader)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise DescriptorError(
            f"{where}this is not YAML: {error.problem or error.context}"
        ) from error
    except yaml.YAMLError as error:
        raise DescriptorError(f"this is not YAML: {error}") from error


def scalar(text: str) -> object:
    """What an unquoted scalar means: null, true or false, a number, or text.

    Raises `ValueError` for numbers that JSON cannot hold.

    Example:
        >>> scalar("1e3"), scalar("yes"), scalar("~"), scalar("0x1F"), scalar("2026-01-01")
        (1000.0, 'yes', None, 31, '2026-01-01')
    """
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text.startswith("0") and not text.isdecimal() else int(text)
    if _NO_JSON.fullmatch(text):
        raise ValueError("JSON knows no infinity and no NaN")
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise ValueError("this number is too large; if it is text, put it in quotes")
        return number
    return text


@dataclass(frozen=True, slots=True)
class _Built:
    data: object
    mark: Mark
    size: int


class _Builder:
    """Builds data from the events of the parser, with the limits kept on the way."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self.events = events
        self.anchors: dict[str, _Built] = {}
        self.nodes = 0

    def document(self) -> tuple[object, Mark]:
        built: _Built | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if built is not None:
                    raise _refusal(event, "there is a second document; a descriptor is one")
                built = self.build(next(self.events), 0)
        if built is None:
            raise DescriptorError("the document is empty")
        return built.data, built.mark

    def build(self, event: yaml.Event, depth: int) -> _Built:
        if depth >= DEPTH_LIMIT and isinstance(event, yaml.CollectionStartEvent):
            raise _refusal(event, f"it is nested deeper than {DEPTH_LIMIT} levels")
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        before = self.nodes
        self.count(event, 1)
        if isinstance(event, yaml.MappingStartEvent):
            built = self.mapping(event, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            built = self.sequence(event, depth)
        else:
            built = _Built(_value(event), _mark(event), 0)
        built = _Built(built.data, built.mark, self.nodes - before)
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            self.anchors[event.anchor] = built
        return built

    def count(self, event: yaml.Event, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > NODE_LIMIT:
            raise _refusal(event, f"the document has more than {NODE_LIMIT:,} values")

    def alias(self, event: yaml.AliasEvent) -> _Built:
        built = self.anchors.get(str(event.anchor))
        if built is None:  # also an alias inside of what it names: that would be endless
            raise _refusal(event, f"the alias *{event.anchor} names nothing that is complete")
        self.count(event, built.size)
        return built

    def sequence(self, event: yaml.SequenceStartEvent, depth: int) -> _Built:
        _check_tag(event, "tag:yaml.org,2002:seq")
        items: list[object] = []
        marks: dict[str | int, Mark] = {}
        while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
            built = self.build(inner, depth + 1)
            marks[len(items)] = built.mark
            items.append(built.data)
        return _Built(items, Mark(_mark(event).line, marks), 0)

    def mapping(self, event: yaml.MappingStartEvent, depth: int) -> _Built:
        _check_tag(event, "tag:yaml.org,2002:map")
        data: dict[str, object] = {}
        marks: dict[str | int, Mark] = {}
        merged: list[tuple[dict[str, object], Mark]] = []
        while not isinstance(key_event := next(self.events), yaml.MappingEndEvent):
            key = _key(key_event)
            built = self.build(next(self.events), depth + 1)
            if key == _MERGE and _is_plain(key_event):
                merged.extend(_merge_sources(key_event, built))
                continue
            if key in data:
                first = marks[key].line
                raise _refusal(key_event, f"the key {key!r} is there twice, first in line {first}")
            data[key] = built.data
            marks[key] = Mark(_mark(key_event).line, built.mark.inner)
        for source, mark in merged:
            for key in source.keys() - data.keys():
                marks[key] = mark.inner[key]
            data = {**source, **data}
        return _Built(data, Mark(_mark(event).line, marks), 0)


def _merge_sources(event: yaml.Event, built: _Built) -> list[tuple[dict[str, object], Mark]]:
    """What `<<:` brings in: one mapping, or a list of them of which the first wins."""
    if isinstance(built.data, dict):
        return [(built.data, built.mark)]
    if isinstance(built.data, list) and all(isinstance(item, dict) for item in built.data):
        return [(item, built.mark.inner[i]) for i, item in enumerate(built.data)]
    raise _refusal(event, "<< merges a mapping, or a list of mappings")


def _key(event: yaml.Event) -> str:
    if not isinstance(event, yaml.ScalarEvent) or event.tag not in _STR_TAGS:
        raise _refusal(event, "a key is plain text")
    if event.value in _NULL and _is_plain(event):
        raise _refusal(event, "a key is missing")
    return event.value


def _is_plain(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and not event.style and event.tag is None


def _value(event: yaml.Event) -> object:
    if not isinstance(event, yaml.ScalarEvent):
        raise _refusal(event, "this is not expected here")
    if event.tag not in _STR_TAGS:
        raise _refusal(event, f"the tag {event.tag} is not allowed")
    if not _is_plain(event):
        return event.value
    try:
        return scalar(event.value)
    except ValueError as error:
        raise _refusal(event, str(error)) from error


def _check_tag(event: yaml.CollectionStartEvent, allowed: str) -> None:
    if event.tag not in {None, "!", allowed}:
        raise _refusal(event, f"the tag {event.tag} is not allowed")


def _mark(event: yaml.Event) -> Mark:
    return Mark(event.start_mark.line + 1 if event.start_mark else 1)


def _refusal(event: yaml.Event, message: str) -> DescriptorError:
    mark = event.start_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return DescriptorError(where + message)
