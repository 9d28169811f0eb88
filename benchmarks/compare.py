"""Measures this project and its peers in turn, in one go, and writes a table and a picture.

python -m benchmarks.compare [--rounds 9] [--systems durable restate absurd dbos] [--only W1 …]

Every round runs each system once, one after the other, so that a noisy moment hits all alike. The
peers are installed below .benchmarks/ at the first time (Restate's server needs npm). All systems
that live on Postgres use one and the same server: the embedded one, fsync on, or that of --dsn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import durable
from benchmarks import install
from benchmarks.run import CAVEATS, SYSTEMS
from benchmarks.table import FIGURES, picture, systems, table, times
from benchmarks.workloads import WORKLOADS

DOCS = Path(__file__).parents[1] / "docs"
README = Path(__file__).parents[1] / "README.md"
MARKS = ("<!-- benchmarks -->", "<!-- end benchmarks -->")


def once(args: argparse.Namespace, system: str, dsn: str) -> tuple[list[dict[str, Any]], list[str]]:
    """One run of every workload on one system: its lines, and what it says of the machine."""
    command = [
        install.python(args.home, system), "-m", "benchmarks.run", *(args.only or WORKLOADS),
        "--system", system, "--runs", "1", "--dsn", dsn, "--home", args.home,
        "--scale", str(args.scale),
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.splitlines()
    if done.returncode:
        print(f"# {system} ended with code {done.returncode}", flush=True)
    told = [line[2:] for line in lines if line.startswith("# ")]
    return [json.loads(line) for line in lines if line.startswith("{")], told


def page(lines: list[dict[str, Any]], told: list[str], rounds: int) -> str:
    """The page of docs/benchmarks.md."""
    factors = []
    for name in systems(lines):
        found = [(f.workload, times(lines, f, name)) for f in FIGURES]
        if name != "durable":
            words = ", ".join(f"{w} {t:.1f}" for w, t in found if t is not None)
            factors.append(f"- {name}: {words}")
    machine = "\n".join(f"- {line}" for line in told if line not in CAVEATS)
    return f"""# Benchmarks

Measured on {datetime.now(UTC):%Y-%m-%d} by `python -m benchmarks.compare`, for you to repeat;
medians of {rounds} interleaved runs, in brackets the least and the most.

![durable and its peers, seven workloads](benchmarks.svg)

{table(lines)}

How many times better durable is than each (below 1: worse):

{chr(10).join(factors)}

## The machine

{machine}

## What these figures do not say

{" ".join(CAVEATS).replace("What these figures do not say: activities", "Activities")}

All run their steps inside the workflow's own process here. Client and worker are one process for
DBOS, as its documentation advises, and two for the others. Absurd polls, every 20 ms here instead
of its 250. Restate keeps a log of its own, with fsync, and its service speaks to it over HTTP. What
each workload is: `benchmarks/README.md`.
"""


def front(lines: list[dict[str, Any]], rounds: int) -> str:
    """What the README says of it."""
    return f"""
## How fast

Medians of {rounds} interleaved runs on {datetime.now(UTC):%Y-%m-%d}, with the lowest and highest in
brackets; all on one machine of {os.cpu_count()} cores, fsync on:

{table(lines)}

![the same figures as bars](docs/benchmarks.svg)

The activities measured here do nothing. The longer yours take, the smaller the differences become.
Machines differ, so compare only ratios within one run. Machine and settings:
[docs/benchmarks.md](docs/benchmarks.md).

"""


def write(args: argparse.Namespace, lines: list[dict[str, Any]], told: list[str]) -> None:
    """Write the page and the picture, and the table into the README."""
    ours = [line for line in lines if line["system"] == "durable"]
    rounds = max(Counter(line["w"] for line in ours).values(), default=0)
    (args.docs / "benchmarks.md").write_text(page(lines, told, rounds), encoding="utf-8")
    (args.docs / "benchmarks.svg").write_text(picture(lines), encoding="utf-8")
    if args.docs == DOCS:
        begin, end = MARKS
        head, rest = README.read_text(encoding="utf-8").split(begin)
        tail = rest.split(end)[1]
        README.write_text(f"{head}{begin}\n{front(lines, rounds)}{end}{tail}", encoding="utf-8")
    print(table(lines))


async def main(args: argparse.Namespace) -> None:
    """All rounds."""
    args.home = args.home.absolute()
    args.home.mkdir(exist_ok=True)
    for system in args.systems:
        install.python(args.home, system)
    lines: list[dict[str, Any]] = []
    told: list[str] = []
    results = args.home / "results.jsonl"
    results.write_text("", encoding="utf-8")
    async with await durable.connect(args.dsn, report=print, migrate=True) as client:
        for number in range(args.rounds):
            for system in args.systems:
                found, words = await asyncio.to_thread(once, args, system, client.dsn)
                lines += found
                told = words if system == "durable" else told
                with results.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(line) + "\n" for line in found)
                print(f"# round {number + 1} of {args.rounds}: {system}", flush=True)
    write(args, lines, told)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), metavar="W1…W7")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--home", type=Path, default=Path(".benchmarks"))
    parser.add_argument("--docs", type=Path, default=DOCS)
    parser.add_argument("--dsn", default=None, help="without it, an embedded Postgres")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(arguments())))
