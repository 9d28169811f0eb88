"""What must hold when a soak is over, whatever was broken meanwhile."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

from tests.faults import programs
from tests.faults.driver import CLOCKS, Journal, Observer
from tests.faults.soaking.caller import Log
from tests.faults.soaking.programs import NAP, NUMBERS, napping_worth, parcel_worth

EARLY = 0.05  # seconds by which clocks of database and machine may differ


def expected(kind: str, key: str, number: int) -> list[Any]:
    """The results that a run may have."""
    return {
        "order": lambda: [programs.order_worth(key, number)],
        "napping": lambda: [napping_worth(key)],
        "census": lambda: [programs.census_worth(key, 2, 3)],
        "once": lambda: programs.once_worths(key),
        "ledger": lambda: [programs.ledger_worth(key, 4, number)],
        "steps": lambda: [programs.steps_worth(key, 30)],
    }[kind]()


class Invariants:
    """Collects what is violated, each as a sentence."""

    def __init__(self, observer: Observer, journal: Journal, log: Log) -> None:
        self._observer = observer
        self._journal = journal
        self._log = log
        self.violations: list[str] = []
        self.counted: Counter[str] = Counter()

    async def check(self) -> None:
        """All of them."""
        await self._results()
        await self._rows()
        await self._executions()
        self._timers()

    def _say(self, what: str) -> None:
        self.violations.append(what)

    async def _results(self) -> None:
        rows = await self._observer.rows(
            "select jid, graph, state, output::text as output, error::text as error, status"
            " from durable.jobs where parent_run_id is null"
        )
        found = {row["jid"]: row for row in rows}
        for key in self._log.words:
            if not self._log.has(key, "begun"):
                continue
            kind, _, number = key.partition("-")
            row = found.get(key)
            if row is None:
                self._say(f"{key} was started, and is not there")
            elif row["state"] != "completed":
                self._say(f"{key} is {row['state']}: {row['error']}")
            elif row["status"] != 0:
                self._say(f"{key} has ended with the semaphore at {row['status']}")
            else:
                self.counted[kind] += 1
                self._result(kind, key, int(number), json.loads(row["output"]))

    def _result(self, kind: str, key: str, number: int, result: Any) -> None:
        if kind == "listener":
            self._signals(key, result)
        elif kind == "parcel":
            data = result.get("data", result)
            if data != parcel_worth(key):
                self._say(f"{key} ended with {data}")
        elif result not in expected(kind, key, number):
            self._say(f"{key} returned {result}, not {expected(kind, key, number)}")

    def _signals(self, key: str, heard: list[int]) -> None:
        """Once and in order; those twice whose sender was killed before it heard an answer."""
        again = {int(d) for word, d in self._log.words[key] if word == "again"}
        once = [v for i, v in enumerate(heard) if not (i and v == heard[i - 1] and v in again)]
        if once != list(range(NUMBERS)):
            self._say(f"{key} heard {heard}; perhaps sent twice: {sorted(again)}")

    async def _rows(self) -> None:
        for row in await self._observer.left():
            self._say(f"a row is left: {dict(row)}")
        for row in await self._observer.rows(
            "select jid, state, status from durable.jobs where finished_at is null or status <> 0"
        ):
            self._say(f"a run is open, or its semaphore is not 0: {dict(row)}")
        for row in await self._observer.rows(
            "select id, jid, msg_type, error::text from durable.engine_streams"
            " where dead_lettered_at is not null"
        ):
            self._say(f"a message was put aside: {dict(row)}")

    async def _executions(self) -> None:
        """Steps are recorded once, none began after that, and a charge never began twice."""
        recorded = await self._observer.recorded()
        starts = self._journal.starts()
        self.counted["steps executed"] = len(starts)
        self.counted["steps recorded"] = len(recorded)
        for line in starts:
            at = recorded.get(line.label)
            if at is None:
                self._say(f"{line.label} ran, and left no fact")
            elif line.at > at + CLOCKS:
                self._say(f"{line.label} began {line.at - at:.3f} s after it was recorded")
        for label in recorded.keys() - {line.label for line in starts}:
            if not label.endswith("/charge"):
                self._say(f"{label} was recorded, and never ran")
        charges = Counter(x.label for x in starts if x.label.endswith("/charge"))
        for label, times in charges.items():
            if times > 1:
                self._say(f"{label} began {times} times")

    def _timers(self) -> None:
        times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for line in self._journal.lines():
            key, _, step = line.label.partition("/")
            if key.startswith("napping"):
                times[key][f"{line.word} {step}"].append(line.at)
        for key, of in times.items():
            if of["end before"] and of["start after"]:
                # Whichever attempt was recorded ended after the first, so this is the least.
                slept = min(of["start after"]) - min(of["end before"])
                if slept < NAP - EARLY:
                    self._say(f"{key} slept {slept:.3f} s of {NAP}")
