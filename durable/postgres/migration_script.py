"""A migration's text as the steps in which it is applied: one for each of its statements.

A statement is one transaction, so it locks one table, and what has been done stays done when the
next one is interrupted. Two kinds are treated in ways of their own: indexes are made and dropped
concurrently, and a statement below the line `-- batched` changes rows a batch at a time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_TOKEN = re.compile(
    r"""
      --[^\n]* | /\*.*?\*/                               # comments
    | [eE]'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*'          # strings
    | "(?:[^"]|"")*"                                     # quoted names
    | (?P<quote>\$(?:[A-Za-z_]\w*)?\$).*?(?P=quote)      # bodies of functions
    | \w+ | \$\d+ | ;
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
_BATCHED = re.compile(r"^[ \t]*-- batched\b", re.MULTILINE)
_INDEX = re.compile(
    r"\A(?P<verb>create(?:\s+unique)?\s+index|drop\s+index)\s+(?:concurrently\s+)?"
    r"(?:if\s+(?:not\s+)?exists\s+)?(?P<rest>(?:\w+\.|\"\w+\"\.)?(?P<name>\w+)\b.*)\Z",
    re.IGNORECASE | re.DOTALL,
)

Kind = Literal["plain", "new index", "old index", "batched"]


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of a migration.

    Attributes:
        text: the statement, without the comments above it and the semicolon behind it.
        kind: how it is applied; `batched` ones take the greatest key done so far as `$1`, 0 at
            first, and return the next one, or null when nothing is left.
        index: the name of the index, for the two kinds that have one.
        concurrent: the same statement for a table that is in use.
    """

    text: str
    kind: Kind = "plain"
    index: str = ""
    concurrent: str = ""


def steps(text: str) -> list[Step]:
    """The statements of a script, in order.

    >>> [step.kind for step in steps("create table a (b int); create index c on a (b);")]
    ['plain', 'new index']
    >>> steps("create index c on durable.a (b)")[0].concurrent
    'create index concurrently c on durable.a (b)'
    """
    return [step for step in map(_step, _split(text)) if step.text]


def _split(text: str) -> list[str]:
    """At each semicolon that ends a statement: none within quotes, or within `begin atomic`."""
    parts: list[str] = []
    began = depth = 0
    before = ""
    for match in _TOKEN.finditer(text):
        word = match[0].lower()
        if word.startswith(("--", "/*")):
            continue
        if word == ";" and depth == 0:
            parts.append(text[began : match.start()])
            began = match.end()
        elif (word == "atomic" and before == "begin") or (depth and word == "case"):
            depth += 1
        elif depth and word == "end":
            depth -= 1
        before = word
    return [*parts, text[began:]]


def _step(part: str) -> Step:
    above = _COMMENTS.match(part)
    start = 0 if above is None else above.end()
    text = part[start:].strip()
    index = _INDEX.match(text)
    if index is not None:
        verb = " ".join(index["verb"].lower().split())
        kind: Kind = "old index" if verb.startswith("drop") else "new index"
        guard = " if exists" if kind == "old index" else ""
        return Step(text, kind, index["name"], f"{verb} concurrently{guard} {index['rest']}")
    if _BATCHED.search(part[:start]):
        return Step(text, "batched")
    return Step(text)
