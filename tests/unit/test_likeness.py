"""Each mechanism stands once: few places in `durable/` have the same shape."""

from __future__ import annotations

import ast
import keyword
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import durable

PACKAGE = Path(durable.__file__).parent
LINES = 6
PAIRS_MAX = 60  # what there is today: it is lowered when there are fewer, and never raised
STRING = re.compile(r"""[rbf]*("[^"\n]*"|'[^'\n]*')""")
WORD = re.compile(r"[A-Za-z_]\w*|\d[\w.]*")


class Place(NamedTuple):
    """A stretch of code: its file, and the number of its first line among those of code."""

    file: str
    index: int
    line: int


def _kind(word: re.Match[str]) -> str:
    if word[0][0].isdigit():
        return "0"
    return word[0] if keyword.iskeyword(word[0]) else "n"


def shape(line: str) -> str:
    """A line of code without its names, texts and numbers; "" for one that is none."""
    bare = STRING.sub('"', line.strip()).partition("#")[0].rstrip()
    return WORD.sub(_kind, bare)


def code(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of the bodies of functions, docstrings left out, each with its number."""
    text = path.read_text("utf-8")
    inside: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                inside |= set(range(body[0].lineno, (node.end_lineno or 0) + 1))
    for number, line in enumerate(text.splitlines(), 1):
        if number in inside and (found := shape(line)):
            yield number, found


def pairs(paths: list[Path]) -> list[str]:
    """Each two places that share six lines of the same shape or more, once."""
    alike: dict[tuple[str, ...], list[Place]] = defaultdict(list)
    for path in paths:
        lines = list(code(path))
        for index in range(len(lines) - LINES + 1):
            window = lines[index : index + LINES]
            place = Place(path.name, index, window[0][0])
            alike[tuple(found for _, found in window)].append(place)
    met = {
        (one, other)
        for places in alike.values()
        for one, other in combinations(places, 2)
        if one.file != other.file or other.index - one.index >= LINES
    }
    starts = {(one.file, one.index, other.file, other.index) for one, other in met}
    return sorted(
        f"{one.file}:{one.line} and {other.file}:{other.line}"
        for one, other in met
        if (one.file, one.index - 1, other.file, other.index - 1) not in starts
    )


def test_few_places_have_the_same_shape() -> None:
    """What is added is not a copy, in other names, of what is there."""
    found = pairs(sorted(PACKAGE.rglob("*.py")))
    assert len(found) <= PAIRS_MAX, "\n".join(found)


def test_a_copy_in_other_names_is_found(tmp_path: Path) -> None:
    """Seven lines that differ in names, texts and numbers are one pair of places."""
    lines = ["one = two(3)", "if one > 4:", "    two('a', one)", "for x in one:", "    two(x)"]
    lines += ["while two(one):", "    return 7"]
    copied = [re.sub("one", "uno", line).replace("4", "5").replace("'a'", '"b"') for line in lines]
    for name, body in (("a.py", lines), ("b.py", copied)):
        text = "def f(two):\n" + "".join(f"    {line}\n" for line in body)
        (tmp_path / name).write_text(text, "utf-8")
    assert pairs(sorted(tmp_path.iterdir())) == ["a.py:2 and b.py:2"]
