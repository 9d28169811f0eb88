"""The documentation is true: its code runs, prints what it says, and its commands and links exist.

A page is run from top to bottom, in an empty directory and on an empty database. Of its blocks

    python      is run, all of a page in one module; what it prints stands behind `# →`
    python      whose first line is `# name.py` is written to that file; yaml with `# name.yaml` too
    console     is run, command by command, and compared with the output below each `$`
    sql         is run on the database that the page has filled; what stands behind `-- →` are the
                names of its columns, then rows that it finds
    pgsql       is run by a test of its own, since roles belong to the whole server
    sh          is not run; what it says of the `durable` command is checked

and the rest is for reading.
"""

from __future__ import annotations

import ast
import asyncio
import codeop
import contextlib
import inspect
import io
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import asyncpg
import pytest
import typer.main

import durable
from durable.authoring.overrides import ActivityDeclaration
from durable.cli.program import program as commands
from tests.acceptance.pages import (
    PAGES,
    PROJECT,
    Block,
    Entry,
    anchors,
    blocks,
    entries,
    links,
    same,
    shell_lines,
)

Program = Callable[..., subprocess.Popen[str]]
Cli = Callable[..., subprocess.CompletedProcess[str]]

# What the page on hand-written graphs takes for granted: its callback, its document, and the end.
BEFORE = {
    "hotmesh.md": """
import durable
from examples.hotmesh_calc import add
from tests.acceptance.pages import PROJECT, blocks
client = await durable.connect()
(CALC, *_) = [b.text for b in blocks(PROJECT / "docs" / "hotmesh.md") if b.language == "yaml"]
CALC = CALC.replace(", stats: {id: '{$self.input.data.id}'}", "")  # the call there names none
"""
}
AFTER = {"hotmesh.md": "await mesh.stop()\nawait client.close()\n"}
LOOKS = {"show", "list", "result"}  # commands that may be asked again until they answer as promised
PATIENCE = 100  # seconds
REFERENCE = PROJECT / "docs" / "reference.md"

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(PROJECT)))


@durable.activity
async def say(word: str) -> str:
    """The word."""
    return word


@durable.workflow
async def echo(word: str) -> str:
    """What `say` says."""
    return await say(word)


class Reader:
    """Somebody who follows a page to the letter."""

    def __init__(self, module: ModuleType, program: Program, dsn: str, home: Path) -> None:
        self._module = module
        self._program = program
        self._dsn = dsn
        self._home = home
        self._jobs: list[subprocess.Popen[str]] = []

    async def follow(self, block: Block) -> None:
        """Do what a block says."""
        if block.file is not None:
            (self._home / block.file).write_text(block.text, "utf-8")
        elif block.language == "python":
            await self._execute(block)
        elif block.language == "sql":
            await self._query(block)
        elif block.language == "console":
            for entry in entries(block):
                await self._command(block, entry)

    async def _execute(self, block: Block) -> None:
        tree = ast.parse("\n" * (block.line - 1) + block.text, str(block.page))
        code = compile(tree, str(block.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            async with asyncio.timeout(PATIENCE):
                going_on = eval(code, vars(self._module))  # noqa: S307 - our own pages
                if inspect.iscoroutine(going_on):
                    await going_on
        assert same(printed.getvalue(), block.printed), (
            f"{block.where} printed\n{printed.getvalue()}"
        )

    async def _query(self, block: Block) -> None:
        connection = await asyncpg.connect(self._dsn)
        deadline = asyncio.get_running_loop().time() + PATIENCE
        try:
            while True:
                found = [row_text(row) for row in await connection.fetch(block.text)]
                missing = [r for r in block.rows[1:] if not any(same(row, r) for row in found)]
                if not missing or asyncio.get_running_loop().time() > deadline:
                    break
                await asyncio.sleep(0.05)  # what workers do is seen when they have done it
            names = [a.name for a in (await connection.prepare(block.text)).get_attributes()]
        finally:
            await connection.close()
        assert not block.rows or " | ".join(names) == block.rows[0], f"{block.where}: {names}"
        assert not missing, f"{block.where} found {found}, and not {missing}"

    async def _command(self, block: Block, entry: Entry) -> None:
        name, *rest = entry.words
        if name == "kill":
            assert rest[-1] == "%%", f"{block.where}: a job's number differs from shell to shell"
            hard = "-9" in rest
            self._jobs[-1].send_signal(signal.SIGKILL if hard else signal.SIGTERM)
            await asyncio.to_thread(self._jobs[-1].wait, PATIENCE)
            return
        if name in ("touch", "rm"):
            for file in rest:
                getattr(Path(self._home / file), {"touch": "touch", "rm": "unlink"}[name])()
            return
        words = {"python": rest, "durable": ["-m", "durable", *rest]}[name]
        if entry.background:
            job = self._program(*words)
            self._jobs.append(job)
            assert job.stdout is not None
            said = [
                await asyncio.to_thread(job.stdout.readline) for _ in entry.printed.splitlines()
            ]
            assert same("".join(said), entry.printed), f"{block.where} began with\n{''.join(said)}"
            return
        again = name == "durable" and rest[0] in LOOKS
        said = await self._said(words, entry, again=again)
        assert same(said, entry.printed), f"{block.where}: {' '.join(entry.words)} printed\n{said}"

    async def _said(self, words: list[str], entry: Entry, *, again: bool) -> str:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            process = self._program(*words)
            out, err = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
            said = out if process.returncode == 0 else out + err
            late = asyncio.get_running_loop().time() > deadline
            if same(said, entry.printed) or late or not again:
                return said


def row_text(row: asyncpg.Record) -> str:
    """A row as the pages show it."""
    return " | ".join("null" if value is None else str(value) for value in row)


@pytest.fixture
def module(page: Path) -> Iterator[ModuleType]:
    """A module for the code of a page; it and the page's files are found while the page is read."""
    made = ModuleType(f"page_{page.stem.replace('-', '_').lower()}")
    before = set(sys.modules)
    sys.modules[made.__name__] = made
    yield made
    files = {block.file.removesuffix(".py") for block in blocks(page) if block.file}
    for name in {made.__name__, *files} - before:
        sys.modules.pop(name, None)


@by_page
async def test_a_page_does_what_it_says(
    page: Path, module: ModuleType, program: Program, database_url: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Followed from top to bottom, everything runs and prints what the page promises."""
    monkeypatch.setenv("DURABLE_DATABASE_URL", database_url)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    reader = Reader(module, program, database_url, tmp_path)
    await reader.follow(Block(page, "python", BEFORE.get(page.name, ""), 1))
    for block in blocks(page):
        await reader.follow(block)
    await reader.follow(Block(page, "python", AFTER.get(page.name, ""), 1))


async def test_the_roles_of_the_production_page_are_enough(database_url: str) -> None:
    """Who has been granted what the page says can start, signal and run workflows, and no more."""
    page = PROJECT / "docs" / "how-to" / "production.md"
    (granting,) = [block for block in blocks(page) if block.language == "pgsql"]
    owner = await asyncpg.connect(database_url)
    try:
        async with await durable.connect(database_url):
            await owner.execute(granting.text)
        as_worker = await durable.connect(f"{database_url}&role=shop_worker")
        async with as_worker, durable.Worker(as_worker, workflows=[echo], activities=[say]):
            assert await as_worker.execute(echo("ann")) == "ann"
        narrow = await asyncpg.connect(f"{database_url}&role=shop_worker")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await narrow.execute("drop table durable.jobs")
        await narrow.close()
    finally:
        await owner.execute("drop owned by shop_worker; drop role shop_worker")
        await owner.close()


@by_page
def test_commands_exist(page: Path) -> None:
    """Every `durable …` of a page names a command and options that its help knows."""
    known = typer.main.get_command(commands).commands  # type: ignore[attr-defined]
    console = [
        (b.where, e.words) for b in blocks(page) if b.language == "console" for e in entries(b)
    ]
    for where, words in [*shell_lines(page), *console]:
        if words[0] != "durable" or words[1:2] == ("--version",):
            continue
        assert words[1] in known, f"{where}: there is no command {words[1]}"
        options = {name for parameter in known[words[1]].params for name in parameter.opts}
        given = {word.partition("=")[0] for word in words[2:] if word.startswith("--")}
        assert given <= options | {"--help"}, f"{where}: {words[1]} has no {given - options}"


@by_page
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file that is there, and a heading in it."""
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}"


@by_page
def test_tables_are_whole(page: Path) -> None:
    """A row of a table is one line: a second one would be text below a table that has ended."""
    rows = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert not [row for row in re.findall(r"^\|.*$", rows, re.MULTILINE) if not row.endswith("|")]


@pytest.mark.parametrize(
    "page",
    [p for p in PAGES if "`python -m asyncio`" in p.read_text("utf-8")],
    ids=lambda p: p.stem,
)
def test_what_is_for_a_prompt_can_be_pasted_into_one(page: Path) -> None:
    """Line by line, as prompts before Python 3.13 read it: what begins a block ends it, too."""
    prompt = codeop.CommandCompiler()
    prompt.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for block in blocks(page):
        if block.language != "python" or block.file:
            continue
        pasted: list[str] = []
        for line in [*block.text.splitlines(), ""]:
            pasted.append(line)
            if prompt("\n".join(pasted), block.where):
                pasted.clear()
        assert not pasted, f"{block.where} ends in the middle of {pasted}"


def test_the_reference_lists_the_public_api() -> None:
    """Every exported name is named in the reference, and every row of its tables is exported."""
    text = REFERENCE.read_text("utf-8").partition("## The command")[0]
    listed = set(re.findall(r"^\| `(\w+)", text, re.MULTILINE))
    missing = set(durable.__all__) - listed - set(re.findall(r"^- `(\w+)", text, re.MULTILINE))
    assert not missing, f"docs/reference.md lacks {sorted(missing)}"
    assert listed <= set(durable.__all__), (
        f"no longer exported: {sorted(listed - set(durable.__all__))}"
    )


def test_the_reference_lists_the_commands() -> None:
    """Every command of `durable --help` has a row in the reference, and every row is a command."""
    text = REFERENCE.read_text("utf-8").partition("## The command")[2]
    listed = set(re.findall(r"^\| `durable (\w+)", text, re.MULTILINE))
    assert listed == set(typer.main.get_command(commands).commands)  # type: ignore[attr-defined]


def test_what_is_said_to_be_missing_is_missing() -> None:
    """The public API lacks every name under "Not yet available": adding one removes its row."""
    text = (PROJECT / "docs" / "limits.md").read_text("utf-8")
    cells = re.findall(r"^\| ([^|]*) \|", text.partition("## Not yet available")[2], re.MULTILINE)
    assert cells
    there = {
        "connect": inspect.signature(durable.connect).parameters,
        "start": inspect.signature(durable.Client.start).parameters,
        "activity": ActivityDeclaration.__annotations__,
    }
    for said in re.findall(r"`([^`]+)`", " ".join(cells)):
        name, _, option = said.rstrip(")=True…").partition("(")
        if option:
            assert option.rstrip("=") not in there[name], f"{said} is there"
        else:
            assert name not in durable.__all__, f"{said} is there"


def test_the_readme_names_one_test_command() -> None:
    """CI finds exactly one line between the marks: linters, then tests; it names no host."""
    marked = (PROJECT / "README.md").read_text("utf-8").partition("<!-- tests -->")[2]
    lines = [
        line[4:]
        for line in marked.partition("<!-- end -->")[0].splitlines()
        if line.startswith("    ")
    ]
    assert len(lines) == 1
    assert lines[0].index(".ci/lint") < lines[0].index("-m pytest")
    assert "://" not in lines[0]


def test_every_page_is_in_the_table_of_contents() -> None:
    """The start page leads to every other page of the documentation."""
    home = PROJECT / "docs" / "index.md"
    linked = {(home.parent / link.partition("#")[0]).resolve() for link in links(home)}
    lost = {page for page in PAGES if page.is_relative_to(home.parent)} - linked - {home}
    assert not lost


def test_every_page_is_in_the_navigation() -> None:
    """The site's navigation names each page of the documentation once, and no other."""
    docs = PROJECT / "docs"
    listed = re.findall(
        r"([\w/-]+\.md)$", (PROJECT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(listed) == sorted(
        str(page.relative_to(docs)) for page in PAGES if page.is_relative_to(docs)
    )
