"""Pages of the documentation, and what is in them to be run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^( *)```(\w*)$")
_FILE = re.compile(r"# (\w+\.(?:py|yaml))\n")
_PRINTED = re.compile(r"^# → ?(.*)$", re.MULTILINE)
_FOUND = re.compile(r"^-- → ?(.*)$", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")

# What differs from one run to the next, and by what it is replaced before two texts are compared.
_VARYING = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "TIME"),
    (r"\b\d+(\.\d+)? (ms|s|min|h|d)( \d+ (s|min|h))?(?= |\)|,|$)", "SPAN"),
    (r"\bversion [0-9a-f]{8,}", "version HASH"),
    (r"\brun \d+", "run NUMBER"),
    (r"^ +", "  "),
    (r"(?<=\S) +", " "),
    (r" +$", ""),
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line on which the text begins."""

    page: Path
    language: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """The name of the file that the block is, if its first line says so."""
        found = _FILE.match(self.text)
        return found[1] if found and self.language in {"python", "yaml"} else None

    @property
    def printed(self) -> str:
        """What a Python block says that it prints: its lines that begin with `# →`."""
        return "\n".join(_PRINTED.findall(self.text))

    @property
    def rows(self) -> list[str]:
        """What a SQL block says that it finds: its lines that begin with `-- →`."""
        return _FOUND.findall(self.text)

    @property
    def where(self) -> str:
        """Page and line."""
        return f"{self.page.relative_to(PROJECT)}:{self.line}"


@dataclass(frozen=True)
class Entry:
    """One command of a console block, and what it prints."""

    words: tuple[str, ...]
    printed: str
    background: bool


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = page.read_text("utf-8").splitlines()
    number = 0
    while number < len(lines):
        opened = _FENCE.match(lines[number])
        number += 1
        if not opened:
            continue
        first = number
        while lines[number].strip() != "```":
            number += 1
        body = [line[len(opened[1]) :] for line in lines[first:number]]
        yield Block(page, opened[2], "\n".join(body) + "\n", first + 1)
        number += 1


def entries(block: Block) -> Iterator[Entry]:
    """The commands of a console block: lines after `$`, each with the output below it."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        background = command.endswith(" &")
        words = tuple(shlex.split(command.removesuffix(" &")))
        yield Entry(words, printed.rstrip("\n"), background)


def shell_lines(page: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The commands in the shell blocks of a page, as words; variables before them left out."""
    for block in blocks(page):
        if block.language == "sh":
            for line in block.text.splitlines():
                words = shlex.split(line, comments=True)
                while words and re.fullmatch(r"\w+=.*", words[0]):
                    words.pop(0)
                if words:
                    yield block.where, tuple(words)


def links(page: Path) -> set[str]:
    """The relative links of a page, outside of its fenced blocks."""
    text = _without_blocks(page)
    return {link for link in _LINK.findall(text) if "://" not in link}


def anchors(page: Path) -> set[str]:
    """What a link to a part of the page may name."""
    titles = _HEADING.findall(_without_blocks(page))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def same(printed: str, wanted: str) -> bool:
    """Whether two outputs agree: times, versions and blanks apart, `...` standing for anything."""
    parts = [re.escape(part) for part in _steady(wanted).split("...")]
    return re.fullmatch(".*".join(parts), _steady(printed), re.DOTALL) is not None


def _steady(text: str) -> str:
    for pattern, word in _VARYING:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return text.strip("\n")


def _without_blocks(page: Path) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
