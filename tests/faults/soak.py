"""Everything breaks at once, at random, for minutes: `python -m tests.faults.soak --minutes 10`.

Workers, callers and engines are killed, frozen and given other clocks; their connections are
terminated, or die without a word; the server restarts and crashes, refuses logins and takes rights
away. Then all is left in peace, every run ends, and the invariants are checked. The exit code is
the number of violations, at most 100.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest

from durable.composition import connect
from durable.hotmesh.mesh import HotMesh
from durable.postgres.embedded.launcher import ensure_running, release
from tests.faults.driver import Journal, Observer
from tests.faults.soaking.actors import ROLE, Actors
from tests.faults.soaking.breakages import Breakages
from tests.faults.soaking.caller import Log
from tests.faults.soaking.invariants import Invariants
from tests.faults.soaking.programs import GRAPH
from tests.waiting import eventually

PEACE = 240.0  # seconds in which all must end once nothing is broken any more
PAUSE = (0.1, 1.5)  # seconds between two faults
AT_ONCE = 4  # faults that may last at the same time
NAMESPACE = "soak"
CAST = [("worker", 3), ("graph_worker", 2), ("caller", 1)]


async def _prepare(dsn: str) -> None:
    """The schema, the graph, and a role whose rights can be taken away."""
    admin = await asyncpg.connect(dsn)
    await admin.execute(f"create role {ROLE} login")
    async with (
        await connect(dsn, namespace=NAMESPACE, migrate=True) as client,
        await HotMesh.init(
            app_id="soak", namespace=NAMESPACE, engine={"connection": client}
        ) as mesh,
    ):
        await mesh.deploy(GRAPH)
        await mesh.activate("1")
    await admin.execute(
        f"grant usage on schema {NAMESPACE} to {ROLE};"
        f" grant all on all tables in schema {NAMESPACE} to {ROLE};"
        f" grant all on all sequences in schema {NAMESPACE} to {ROLE};"
        f" grant execute on all functions in schema {NAMESPACE} to {ROLE}"
    )
    await admin.close()


async def _break(breakages: Breakages, seconds: float, rng: Random) -> Counter[str]:
    """Break things for so long; how often what was broken."""
    counted: Counter[str] = Counter()
    lasting: set[asyncio.Task[Any]] = set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        name = breakages.draw()
        counted[name] += 1
        lasting.add(asyncio.create_task(breakages.named[name][1](), name=name))
        await asyncio.sleep(rng.uniform(*PAUSE))
        while len(lasting) >= AT_ONCE:
            done, lasting = await asyncio.wait(lasting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    for task in lasting:
        await task
    return counted


async def _peace(observer: Observer, actors: Actors) -> None:
    """Return when the caller has stopped and every run has ended, or the time is over."""
    caller = next(a for a in actors.all if a.name.startswith("caller"))
    caller.stopping = True
    assert caller.process is not None
    caller.process.tell("enough")

    async def over() -> bool:
        assert caller.process is not None
        return caller.process.exited is not None and not await observer.left()

    try:
        await eventually(over, "the end of every run", within=PEACE, every=0.5)
    except pytest.fail.Exception as error:
        print(f"not over: {error}", flush=True)  # noqa: T201


async def soak(minutes: float, seed: int, directory: Path, only: Sequence[str]) -> list[str]:
    """One soak; what was violated. `only`: the faults to choose from; all if there are none."""
    home = directory / ".durable"
    embedded = await ensure_running(home)
    await _prepare(embedded.dsn)
    rng, journal = Random(seed), Journal(directory)
    actors = Actors(embedded.dsn, NAMESPACE, journal, directory)
    breakages = Breakages(embedded.dsn, home, NAMESPACE, actors, rng)
    if only:
        breakages.only(only)
    begun = time.monotonic()
    for module, count in CAST:
        for n in range(count):
            words = (str(directory / "calls"),) if module == "caller" else ()
            await actors.add(f"{module}-{n}", module, *words)
    counted = await _break(breakages, minutes * 60, rng)
    print(f"broken in {time.monotonic() - begun:.0f} s:", dict(counted), flush=True)  # noqa: T201
    observer = Observer(await asyncpg.connect(embedded.dsn), NAMESPACE)
    await _peace(observer, actors)
    invariants = Invariants(observer, journal, Log(directory / "calls"))
    await invariants.check()
    print("runs by kind:", dict(invariants.counted), flush=True)  # noqa: T201
    print("ended by themselves:", {a.name: a.ends for a in actors.all if a.ends})  # noqa: T201
    await observer.close()
    await actors.close()
    release(embedded)
    return invariants.violations


def main() -> int:
    """Run one by the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", type=Path, help="a directory for logs and data, to look at later")
    parser.add_argument("--only", action="append", default=[], help="a fault; may be repeated")
    options = parser.parse_args()
    directory = options.keep or Path(tempfile.mkdtemp(prefix="durable-soak-"))
    directory.mkdir(parents=True, exist_ok=True)
    print(f"seed {options.seed}, in {directory}", flush=True)  # noqa: T201
    violations = asyncio.run(soak(options.minutes, options.seed, directory, options.only))
    for violation in violations[:50]:
        print("VIOLATION", violation)  # noqa: T201
    print(f"{len(violations)} violations")  # noqa: T201
    return min(len(violations), 100)


if __name__ == "__main__":
    raise SystemExit(main())
