"""A census of Python's standard library: every module parsed, one report at the end.

Each module is an activity, each package a child workflow, and the fan-out is bounded in both. Kill
it anywhere, as often as you like, and start it again: it goes on with the open run, and no module
whose figures were recorded is parsed again. `--log` gets a line for every parse that was begun.

    python examples/census.py            # all by itself: an embedded Postgres, a worker within
    python examples/census.py --only asyncio json --log census.log
"""

import argparse
import ast
import asyncio
import os
import platform
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import durable

LOOSE = "(single modules)"
TESTS = {"test", "tests", "idle_test"}
BRANCHES = (
    ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.Assert,
    ast.comprehension, ast.match_case,
)  # fmt: skip
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Request:
    python: str
    root: str  # the directory of the standard library
    log: str | None  # gets one line for each parse; None: no log
    only: tuple[str, ...] = ()  # packages; none means all
    tests: bool = False  # whether test packages count too
    packages: int = 4  # how many packages at once
    modules: int = 4  # how many modules of a package at once


@dataclass(frozen=True)
class Package:
    name: str
    files: tuple[str, ...]  # below the root


@dataclass(frozen=True, order=True)
class Complex:
    """How many ways lead through a function, as McCabe counts them."""

    complexity: int
    where: str


@dataclass(frozen=True)
class Figures:
    modules: int = 0
    unreadable: int = 0
    lines: int = 0
    functions: int = 0
    classes: int = 0
    imports: int = 0
    most_complex: tuple[Complex, ...] = ()

    def __add__(self, other: "Figures") -> "Figures":
        most = sorted((*self.most_complex, *other.most_complex), reverse=True)
        return Figures(
            self.modules + other.modules,
            self.unreadable + other.unreadable,
            self.lines + other.lines,
            self.functions + other.functions,
            self.classes + other.classes,
            self.imports + other.imports,
            tuple(most[:10]),
        )


@dataclass(frozen=True)
class Report:
    python: str
    total: Figures
    packages: dict[str, Figures] = field(default_factory=dict)


@durable.activity
def find_packages(request: Request) -> list[Package]:
    root = Path(request.root)
    found: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if "site-packages" in parts or (TESTS.intersection(parts[:-1]) and not request.tests):
            continue
        name = parts[0] if len(parts) > 1 else LOOSE
        if not request.only or name in request.only:
            found.setdefault(name, []).append("/".join(parts))
    return [Package(name, tuple(files)) for name, files in found.items()]


@durable.activity
def measure(file: str, request: Request) -> Figures:
    if request.log:
        with Path(request.log).open("a", encoding="utf-8") as log:
            log.write(f"{file}\n")
    source = (Path(request.root) / file).read_bytes()
    try:
        tree = ast.parse(source, file)
    except SyntaxError:  # some files are wrong on purpose
        return Figures(modules=1, unreadable=1)
    nodes = list(ast.walk(tree))
    functions = [node for node in nodes if isinstance(node, FUNCTIONS)]
    most = sorted((Complex(complexity(f), f"{file}: {f.name}()") for f in functions), reverse=True)
    return Figures(
        modules=1,
        lines=source.count(b"\n"),
        functions=len(functions),
        classes=sum(isinstance(node, ast.ClassDef) for node in nodes),
        imports=sum(isinstance(node, (ast.Import, ast.ImportFrom)) for node in nodes),
        most_complex=tuple(most[:10]),
    )


def complexity(function: ast.AST) -> int:
    ways = 1
    for node in own_nodes(function):
        if isinstance(node, ast.BoolOp):
            ways += len(node.values) - 1
        elif isinstance(node, BRANCHES):
            ways += 1
    return ways


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """All within a function but the insides of functions within it."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, FUNCTIONS):
            waiting.extend(ast.iter_child_nodes(node))


@durable.workflow
async def survey(package: Package, request: Request) -> Figures:
    room = asyncio.Semaphore(request.modules)

    async def one(file: str) -> Figures:
        async with room:
            return await measure(file, request)

    return sum(await asyncio.gather(*map(one, package.files)), Figures())


@durable.workflow
async def census(request: Request) -> Report:
    room = asyncio.Semaphore(request.packages)
    me = durable.info().id

    async def one(package: Package) -> Figures:
        async with room:
            return await survey.options(id=f"{me}/{package.name}")(package, request)

    packages = await find_packages(request)
    figures = await asyncio.gather(*map(one, packages))
    by_name = {package.name: f for package, f in zip(packages, figures, strict=True)}
    return Report(request.python, sum(figures, Figures()), by_name)


async def progress_of(client: durable.Client, handle: durable.Handle[Report]) -> str:
    """How far the run has come, by what is recorded of it."""
    found = [event for event in await handle.history() if event.name == "find_packages"]
    if not found:
        return "looking for packages"
    run_id = await handle.run_id()
    surveys = await client.list(id_prefix=f"{handle.id}/", limit=10_000)
    done, modules = 0, 0
    for survey in surveys:
        if survey.run_id > run_id:  # not of an earlier census
            facts = (await client.handle(survey.id).describe()).revision
            ended = survey.finished_at is not None
            # Of a run's facts the first says that it started, and the last that it has finished.
            modules += max(0, facts - 1 - ended)
            done += ended
    packages = found[0].data
    total = sum(len(package["files"]) for package in packages)
    return f"{modules} of {total} modules, {done} of {len(packages)} packages"


async def show_progress(client: durable.Client, handle: durable.Handle[Report]) -> None:
    shown = ""
    while True:
        text = await progress_of(client, handle)
        if sys.stderr.isatty():
            print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)
        elif text != shown:
            print(text, file=sys.stderr, flush=True)
        shown = text
        await asyncio.sleep(0.5)


def show(report: Report) -> None:
    titles = ("package", "modules", "lines", "functions", "classes", "imports", "hardest")
    print(f"Python {report.python}: the standard library")
    width = max(map(len, [*report.packages, "package"])) + 1
    print(f"{titles[0]:<{width}}" + "".join(f"{title:>10}" for title in titles[1:]))
    rows = sorted(report.packages.items(), key=lambda row: -row[1].lines)
    for name, f in [*rows, ("total", report.total)]:
        hardest = f.most_complex[0].complexity if f.most_complex else 0
        cells = (f.modules, f.lines, f.functions, f.classes, f.imports, hardest)
        print(f"{name:<{width}}" + "".join(f"{cell:>10,}" for cell in cells))
    print("\nThe most complex functions")
    for one in report.total.most_complex:
        print(f"{one.complexity:>5}  {one.where}")
    if report.total.unreadable:
        print(f"\n{report.total.unreadable} files could not be parsed")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="only these packages")
    parser.add_argument("--tests", action="store_true", help="test packages too")
    parser.add_argument("--log", type=Path, help="a file that gets a line for each parse")
    parser.add_argument("--tag", default="all", help="names the census; a new one counts anew")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


async def main() -> None:
    given = arguments()
    request = Request(
        python=platform.python_version(),
        root=sysconfig.get_path("stdlib"),
        log=str(given.log.absolute()) if given.log else None,
        only=tuple(given.only),
        tests=given.tests,
    )
    client = await durable.connect(report=lambda text: print(text, file=sys.stderr))
    worker = durable.Worker(
        client,
        workflows=[census, survey],
        activities=[find_packages, measure],
        task_queue="census",
        max_threads=given.threads,
    )
    parts = ["census", request.python, given.tag, *request.only, *["tests"] * request.tests]
    async with client, worker:
        handle = await client.start(
            census(request),
            id="-".join(parts),
            task_queue="census",
            if_running="attach",  # goes on where it was
            if_ended="attach",  # it was killed between its end and its report
        )
        progress = asyncio.create_task(show_progress(client, handle))
        try:
            report = await handle.result()
        finally:
            progress.cancel()
            if sys.stderr.isatty():
                print(file=sys.stderr)
    show(report)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("stopped; start it again, and it goes on from here", file=sys.stderr)
        sys.exit(130)

# Python 3.11.7: the standard library
# package                         modules     lines functions   classes   imports   hardest
# (single modules)                    168   132,166     7,025       783     1,286        77
# encodings                           122    32,340       561       592       161        29
# idlelib                              60    20,530     1,271       152       493        56
# asyncio                              33    14,045       990       105       275        49
# …                                     …         …         …         …         …         …
# total                               734   327,340    16,539     2,700     3,967       123
#
# The most complex functions
#   123  re/_parser.py: _parse()
#    77  _strptime.py: _strptime()
#    72  shlex.py: read_token()
#     …  …
