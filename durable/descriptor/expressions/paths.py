"""References such as `{t1.output.data.x}`: parsed, printed, and walked.

    {<activity>.output.data.…}   what the activity answered; also .output.metadata.…
    {<activity>.hook.data.…}     what was signalled to a hook activity
    {<activity>.input.data.…}    what a trigger was started with
    {$self.…}                    the activity to which the mapping belongs
    {$job.data.…}                the data that the whole job shares; also .metadata.…
    {$job.entity.…}              the job's entity document; also .attributes.…
    {$input} {$output} {$item} {$key} {$index}   inside `@reduce`

An activity's id may begin with a dot or hold dots; it ends before the first section name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from durable.descriptor.expressions import units
from durable.descriptor.expressions.values import UNDEFINED

SELF: Final = "$self"
JOB: Final = "$job"
LOOP_VARIABLES: Final = frozenset({"$input", "$output", "$item", "$key", "$index"})

_ACTIVITY: Final = re.compile(
    r"(?P<root>.+?)\.(?P<section>input|output|hook)\.(?P<part>data|metadata)(?:\.(?P<path>.+))?"
)
_JOB: Final = re.compile(r"\$job\.(?P<part>data|metadata|entity|attributes)(?:\.(?P<path>.+))?")
_INDEX: Final = re.compile(r"0|[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference.

    Attributes:
        root: an activity's id, `$self`, `$job`, or a loop variable such as `$item`.
        section: `input`, `output` or `hook`; "" for `$job` and loop variables.
        part: `data` or `metadata`, of `$job` also `entity` and `attributes`; "" for loop variables.
        path: the keys below, outermost first; empty means the whole.
    """

    root: str
    section: str
    part: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = [self.root, self.section, self.part, *self.path]
        return "{" + ".".join(word for word in words if word) + "}"


def parse_reference(text: str) -> Reference | str:
    """The reference that stands between the braces, or a sentence that says what is wrong.

    Example:
        >>> parse_reference("t1.output.data.a.b")
        Reference(root='t1', section='output', part='data', path=('a', 'b'))
        >>> print(parse_reference(".start.output.data"))
        {.start.output.data}
    """
    root = text.partition(".")[0]
    if root in LOOP_VARIABLES:
        return Reference(root, "", "", tuple(text.split(".")[1:]))
    found = _JOB.fullmatch(text) if root == JOB else _ACTIVITY.fullmatch(text)
    if found is None:
        return _complaint(root)
    path = tuple(found["path"].split(".")) if found["path"] else ()
    if any(not key for key in path):
        return "it has an empty key between two dots"
    if root == JOB:
        return Reference(JOB, "", found["part"], path)
    if root.startswith("$") and root != SELF:
        return f"{root!r} is not known; there are $self, $job and activity ids"
    return Reference(found["root"], found["section"], found["part"], path)


def _complaint(root: str) -> str:
    if root == JOB:
        return "after $job comes .data, .metadata, .entity or .attributes"
    if root.startswith("$") and root != SELF:
        return f"{root!r} is not known; there are $self, $job and activity ids"
    return (
        "it must read {activity.output.data.key}, with input, output or hook in the second "
        "and data or metadata in the third place"
    )


def walk(value: object, path: Sequence[str]) -> object:
    """What lies at the path below the value, `UNDEFINED` where a step leads nowhere.

    Example:
        >>> walk({"a": [{"b": 1}]}, ("a", "0", "b")), walk({}, ("a", "b"))
        (1, UNDEFINED)
    """
    for key in path:
        value = property_of(value, key)
        if value is UNDEFINED:
            break
    return value


def property_of(value: object, key: str) -> object:
    """JavaScript's `value[key]`; of inherited properties only `length` is known."""
    if isinstance(value, dict):
        return value.get(key, UNDEFINED)
    if isinstance(value, (list, tuple)):
        if key == "length":
            return len(value)
        if _INDEX.fullmatch(key) and int(key) < len(value):
            return value[int(key)]
    elif isinstance(value, str):
        if key == "length":
            return units.length(value)
        if _INDEX.fullmatch(key) and int(key) < units.length(value):
            return units.cut(value, int(key), int(key) + 1)
    return UNDEFINED
