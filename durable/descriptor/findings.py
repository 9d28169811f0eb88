"""What is wrong with a document: path, line, and a sentence that says what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic_core import ErrorDetails

from durable.descriptor.expressions.expression import Path, path_text
from durable.descriptor.model import FIELDS, KINDS
from durable.descriptor.parts import RETRY_FORMS
from durable.descriptor.yaml_reader import Mark, line_at
from durable.errors import DescriptorError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and the path at which it stands."""

    path: Path
    message: str

    def text(self, marks: Mark | None) -> str:
        """The finding as one line, with the line of the document where it is known."""
        line = line_at(marks, self.path) if marks else None
        where = path_text(self.path) or "document"
        return f"line {line}, {where}: {self.message}" if line else f"{where}: {self.message}"


def refuse(findings: Iterable[Finding], marks: Mark | None) -> None:
    """Raise `DescriptorError` with a line for each finding, in the order of the document."""
    lines = [(line_at(marks, f.path) or 0 if marks else 0, f.text(marks)) for f in findings]
    if lines:
        raise DescriptorError(
            "\n".join(text for _, text in sorted(lines, key=lambda pair: pair[0]))
        )


def from_pydantic(errors: Iterable[ErrorDetails], document: object) -> list[Finding]:
    """Pydantic's errors, in our words; of the members of a union only what was meant."""
    listed = list(errors)
    found = (
        Finding(_real_path(e["loc"], document), _sentence(e))
        for e in listed
        if not (e["type"] == "too_short" and any(_is_below(other, e) for other in listed))
    )
    return list(dict.fromkeys(found))


def _is_below(inner: ErrorDetails, outer: ErrorDetails) -> bool:
    """A list with nothing but wrong items counts as empty to pydantic; the items say why."""
    size = len(outer["loc"])
    return len(inner["loc"]) > size and inner["loc"][:size] == outer["loc"]


def _real_path(location: tuple[int | str, ...], document: object) -> Path:
    """The location without the names that pydantic adds for the members of unions."""
    path: list[str | int] = []
    here = document
    tagged = 0  # how long the path was when the name of a member was left out
    for place, step in enumerate(location):
        if _is_member(path, step) and tagged != len(path):
            tagged = len(path)
            continue
        inner = _inner(here, step)
        if inner is None and not (isinstance(here, Mapping) and place == len(location) - 1):
            continue
        path.append(step)
        here = inner[0] if inner else None
    return tuple(path)


def _is_member(path: list[str | int], step: int | str) -> bool:
    """Whether the step is a name that the model gives to a kind of activity, or form of retry."""
    if path[-2:-1] == ["activities"]:
        return step in KINDS
    return path[-1:] == ["retry"] and step in RETRY_FORMS


def _inner(value: object, step: int | str) -> tuple[object] | None:
    """What lies one step below, in a tuple, as it may be null."""
    if isinstance(value, Mapping) and step in value:
        return (value[step],)
    if isinstance(value, (list, tuple)) and isinstance(step, int) and step < len(value):
        return (value[step],)
    return None


_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "this field is required",
    "string_type": "it must be text",
    "bool_type": "it must be true or false",
    "int_type": "it must be a whole number",
    "float_type": "it must be a number",
    "dict_type": "it must be a mapping of names to values",
    "model_type": "it must be a mapping of names to values",
    "model_attributes_type": "it must be a mapping of names to values",
    "tuple_type": "it must be a list",
    "string_too_short": "it must not be empty",
    "too_short": "it must not be empty",
    "string_pattern_mismatch": "it has characters that no name may have (blanks, braces, quotes)",
    "union_tag_not_found": f"its `type` is missing; there are {', '.join(KINDS)}",
    "union_tag_invalid": f"its `type` is not known; there are {', '.join(KINDS)}",
    "invalid-json-value": "it must be a JSON value",
}


_HINTS: Final[Mapping[str, str]] = {
    "adjacent": "`adjacent` has no effect; leave it out",
    "parent": "`parent` has no effect; leave it out",
    "statusThresholdType": "`statusThresholdType` has no effect; leave it out",
    "persistent": "`persistent` is a field of the graph",
}


def _sentence(error: ErrorDetails) -> str:
    kind, name = error["type"], str(error["loc"][-1]) if error["loc"] else ""
    if kind == "extra_forbidden":
        return _unknown_field(name)
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    message = error["msg"]
    return _SENTENCES.get(kind, message[:1].lower() + message[1:])


def _unknown_field(name: str) -> str:
    if name in _HINTS:
        return _HINTS[name]
    if name in FIELDS:
        return f"unknown field here; `{name}` is a field of {', '.join(sorted(FIELDS[name]))}"
    close = difflib.get_close_matches(name, FIELDS, n=1)
    return f"unknown field{f'; did you mean `{close[0]}`?' if close else ''}"
