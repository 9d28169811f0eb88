"""`compile_value`: from what stands in the descriptor to an `Expression`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from durable.descriptor.expressions.expression import (
    Call,
    Expression,
    Listing,
    Literal,
    Lookup,
    Path,
    Template,
    path_text,
)
from durable.descriptor.expressions.functions.table import DOMAINS, UNAVAILABLE
from durable.descriptor.expressions.paths import LOOP_VARIABLES, Reference, parse_reference
from durable.descriptor.expressions.regex_syntax import RegexError
from durable.descriptor.expressions.regexes import compile_regex
from durable.descriptor.expressions.rows import Pipe, Reduction, Row
from durable.errors import DescriptorError

PIPE: Final = "@pipe"
REDUCE: Final = "@reduce"
SEARCH: Final = "string.search"  # the function that is given a pattern, as its second argument
SHOWN = 60  # characters of a pattern in a finding
DEEPEST = 64  # nested objects, arrays and pipes; a mapping written by a person has a handful

Report = Callable[[Path, str], None]
"""Takes a finding: where, and what is wrong."""

Witness = Callable[[Path, Reference], None]
"""Takes a reference, and where it stands."""

_FUNCTION: Final = re.compile(r"\{@(\w+)\.(\w+)\}")
_LITERAL_BRACES: Final = re.compile(r"\{\s*\}|\{.*[\"{}\n].*\}", re.DOTALL)


def compile_value(raw: object, at: Path = ()) -> Expression:
    """Compile a value of the mapping language.

    Args:
        raw: what the descriptor says: JSON values with references, functions and pipes in it.
        at: where it stands, for messages.

    Patterns are not looked at here: a version that was stored before one was refused still loads,
    and the job that comes to it ends with the reason.

    Raises `DescriptorError` with a line for each finding.

    Example:
        >>> from durable.descriptor.expressions.context import Context, resolver
        >>> rows = [["{t1.output.data.name}", 0], ["{@string.charAt}"], ["{@string.toUpperCase}"]]
        >>> data = resolver({"t1": {"output": {"data": {"name": "ada"}}}})
        >>> compile_value({"initial": {"@pipe": rows}}).evaluate(Context(data))
        {'initial': 'A'}
    """
    findings: list[str] = []

    def report(where: Path, message: str) -> None:
        findings.append(f"{path_text(where)}: {message}" if where else message)

    expression = _Compiler(report, _ignore).value(raw, at)
    if findings:
        raise DescriptorError("\n".join(findings))
    return expression


def _ignore(_at: Path, _found: object) -> None:
    """It is of no interest to the caller."""


def compile_into(
    raw: object, at: Path = (), report: Report = _ignore, witness: Witness = _ignore
) -> Expression:
    """As `compile_value`, for what is about to be deployed.

    Each finding goes to `report`, each reference to `witness`; patterns are looked at too.
    """
    return _Compiler(report, witness, checks_patterns=True).value(raw, at)


def references_of(raw: object) -> tuple[Reference, ...]:
    """The references in a value of the mapping language, each once, in order of appearance."""
    found: dict[Reference, None] = {}
    compile_into(raw, witness=lambda _, reference: found.setdefault(reference))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Compiler:
    report: Report
    witness: Witness
    in_loop: bool = False
    checks_patterns: bool = False

    def value(self, raw: object, at: Path, depth: int = 0) -> Expression:
        if depth > DEEPEST:
            return self._wrong(at, f"it is nested deeper than {DEEPEST} levels")
        if isinstance(raw, str):
            return self._text(raw, at)
        if isinstance(raw, Mapping):
            return self._mapping(raw, at, depth)
        if isinstance(raw, (list, tuple)):
            items = tuple(self.value(v, (*at, i), depth + 1) for i, v in enumerate(raw))
            return Literal(list(raw)) if _all_constant(items) else Listing(items)
        return Literal(raw)

    def _wrong(self, at: Path, message: str) -> Expression:
        self.report(at, message)
        return Literal(None)

    def _mapping(
        self, raw: Mapping[str, object], at: Path, depth: int, *, nested: bool = False
    ) -> Expression:
        if PIPE in raw:
            if len(raw) > 1:
                return self._wrong(at, f"beside {PIPE} there can be no other keys")
            return self.pipe(raw[PIPE], (*at, PIPE), depth + 1, nested=nested)
        if REDUCE in raw:
            return self._wrong(at, f"{REDUCE} stands between the rows of a pipe only")
        items = {key: self.value(v, (*at, key), depth + 1) for key, v in raw.items()}
        return Literal(dict(raw)) if _all_constant(items.values()) else Template(items)

    def _text(self, raw: str, at: Path) -> Expression:
        if not (raw.startswith("{") and raw.endswith("}")) or _LITERAL_BRACES.fullmatch(raw):
            return Literal(raw)
        if raw.startswith("{@"):
            return self._function(raw, at) or Literal(None)
        reference = parse_reference(raw[1:-1])
        if isinstance(reference, str):
            return self._wrong(at, f"{raw} is not a reference: {reference}")
        if reference.root not in LOOP_VARIABLES:
            self.witness(at, reference)
        elif not self.in_loop:
            return self._wrong(at, f"{raw} has a meaning inside {REDUCE} only")
        return Lookup(reference)

    def _function(self, raw: str, at: Path) -> Call | None:
        found = _FUNCTION.fullmatch(raw)
        if found is None:
            self.report(at, f"{raw} is not a function: it must read {{@domain.function}}")
            return None
        domain, name = found[1], found[2]
        functions = DOMAINS.get(domain)
        if functions is None:
            self.report(at, f"{raw}: unknown domain {domain!r}{_near(domain, DOMAINS)}")
            return None
        if domain in UNAVAILABLE:
            self.report(at, f"{raw}: {UNAVAILABLE[domain]}")
            return None
        function = functions.get(name)
        if function is None:
            hint = _near(name, functions)
            self.report(at, f"{raw}: the domain {domain!r} has no function {name!r}{hint}")
            return None
        return Call(f"{domain}.{name}", function, at)

    def pipe(self, raw: object, at: Path, depth: int, *, nested: bool) -> Expression:
        if not isinstance(raw, (list, tuple)) or not raw:
            return self._wrong(at, "a pipe is a list of rows, each a list")
        if depth > DEEPEST:
            return self._wrong(at, f"it is nested deeper than {DEEPEST} levels")
        rows: list[Row | Pipe | Reduction] = []
        for index, row in enumerate(raw):
            compiled = self._row(row, (*at, index), depth, first=index == 0)
            if compiled is not None:
                if self.checks_patterns and rows:
                    self._check_pattern(rows[-1], compiled, (*at, index - 1, 1))
                rows.append(compiled)
        if rows and isinstance(rows[0], Reduction) and not nested:
            self.report(
                (*at, 0), f"{REDUCE} needs a row above it: the collection, the first output"
            )
        if len(rows) > 1 and not any(isinstance(row, Row) for row in rows[-2:]):
            self.report(at, "nested pipes at the end need a row after them that takes their values")
        return Pipe(tuple(rows))

    def _check_pattern(
        self, above: Row | Pipe | Reduction, row: Row | Pipe | Reduction, at: Path
    ) -> None:
        """A pattern that stands in the descriptor is known to be usable before a job needs it."""
        if not (isinstance(above, Row) and isinstance(row, Row) and row.function):
            return
        given = above.cells[(0 if above.function else 1) :][:1]
        if row.function.name != SEARCH or not given or not isinstance(given[0], Literal):
            return
        if isinstance(pattern := given[0].value, str):
            try:
                compile_regex(pattern)
            except RegexError as error:
                self.report(at, f"the pattern {pattern[:SHOWN]!r} is not usable: {error}")

    def _reduction(self, raw: Mapping[str, object], at: Path, depth: int) -> Reduction | None:
        if len(raw) > 1:
            self.report(at, f"beside {REDUCE} there can be no other keys")
            return None
        inside = replace(self, in_loop=True)
        body = inside.pipe(raw[REDUCE], (*at, REDUCE), depth + 1, nested=True)
        return Reduction(body, at) if isinstance(body, Pipe) else None

    def _row(
        self, raw: object, at: Path, depth: int, *, first: bool
    ) -> Row | Pipe | Reduction | None:
        if isinstance(raw, Mapping) and REDUCE in raw:
            return self._reduction(raw, at, depth)
        if isinstance(raw, Mapping) and PIPE in raw:
            nested = self._mapping(raw, at, depth, nested=True)
            return nested if isinstance(nested, Pipe) else None
        if not isinstance(raw, (list, tuple)) or not raw:
            self.report(at, f"a row is a list with at least one cell, or {{'{PIPE}': …}}")
            return None
        head, cells = raw[0], raw[1:]
        function = None
        if isinstance(head, str) and head.startswith("{@") and head.endswith("}"):
            function = self._function(head, (*at, 0))
        elif first:
            cells = raw
        else:
            self.report(
                (*at, 0), "a row after the first begins with a function, {@domain.function}"
            )
        offset = len(raw) - len(cells)
        compiled = (self.value(c, (*at, i), depth) for i, c in enumerate(cells, start=offset))
        return Row(function, tuple(compiled))


def _all_constant(expressions: Iterable[Expression]) -> bool:
    return all(expression.is_constant for expression in expressions)


def _near(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"
