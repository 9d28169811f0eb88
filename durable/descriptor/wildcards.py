"""Wildcard keys of `job.maps`: an object whose properties are written one by one.

x[25]   slots: the properties, named by whole numbers, go under `x`. The number was the
        ancestor's bound; here there is none
x[-]    markers: each property, named with a dash at its beginning, is a marker of the job
x[_]    attributes: each property is a searchable attribute of the job
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from durable.descriptor.expressions.expression import Expression, Path
from durable.descriptor.expressions.pipe import compile_value

_KEY: Final = re.compile(r"(?P<key>[^\[\]]+)\[(?P<kind>[1-9][0-9]*|-|_)\]")
_BRACKETS: Final = re.compile(r".*\[[^\[\]]*\]")


class WildcardKind(StrEnum):
    """Where the properties go."""

    SLOTS = "slots"
    MARKERS = "markers"
    ATTRIBUTES = "attributes"


_KINDS: Final = {"-": WildcardKind.MARKERS, "_": WildcardKind.ATTRIBUTES}


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A wildcard key, compiled.

    Attributes:
        key: what stands before the brackets.
        kind: where the properties go.
        value: gives an object, or undefined where nothing is to be written.
    """

    key: str
    kind: WildcardKind
    value: Expression


def kind_of(key: str) -> tuple[str, WildcardKind] | None:
    """What a wildcard key says, None for any other key.

    Example:
        >>> kind_of("response[25]"), kind_of("response"), kind_of("x[_]")[1].value
        (('response', <WildcardKind.SLOTS: 'slots'>), None, 'attributes')
    """
    found = _KEY.fullmatch(key)
    return (found["key"], _KINDS.get(found["kind"], WildcardKind.SLOTS)) if found else None


def divide(maps: Mapping[str, object], at: Path) -> tuple[dict[str, object], tuple[Wildcard, ...]]:
    """The keys of `job.maps` that stand for themselves, and the wildcards, compiled."""
    plain: dict[str, object] = {}
    wildcards: list[Wildcard] = []
    for key, raw in maps.items():
        found = kind_of(key)
        if found is None:
            plain[key] = raw
        else:
            wildcards.append(Wildcard(*found, compile_value(raw, (*at, key))))
    return plain, tuple(wildcards)


def problems(maps: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Key and sentence for what is wrong with the wildcards of `job.maps`."""
    seen: dict[str, str] = {key: key for key in maps if kind_of(key) is None}
    for key, raw in maps.items():
        found = kind_of(key)
        if found is None:
            if _BRACKETS.fullmatch(key):
                yield key, "a wildcard ends with a number, - or _ in brackets: x[25], x[-], x[_]"
            continue
        if not isinstance(raw, (str, dict)) or (isinstance(raw, str) and not raw.startswith("{")):
            yield key, "a wildcard's value is an object: its properties are written one by one"
        if found[1] is WildcardKind.SLOTS and seen.setdefault(found[0], key) != key:
            yield key, f"{seen[found[0]]!r} writes to {found[0]!r} too"
