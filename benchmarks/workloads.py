"""The workloads: each takes a system and a scale, and returns its figures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

from benchmarks.systems.system import System

Figures = dict[str, Any]


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie, interpolated."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def milliseconds(value: float) -> float:
    """Seconds as milliseconds, two digits."""
    return round(value * 1000, 2)


def spread(values: list[float], prefix: str = "") -> Figures:
    """Median and 99th percentile in milliseconds."""
    return {
        f"{prefix}p50_ms": milliseconds(percentile(values, 0.5)),
        f"{prefix}p99_ms": milliseconds(percentile(values, 0.99)),
    }


async def timed(action: Callable[[], Awaitable[Any]]) -> float:
    """Seconds that an action took."""
    before = time.perf_counter()
    await action()
    return time.perf_counter() - before


async def capped(count: int, most: int, action: Callable[[int], Awaitable[Any]]) -> list[Any]:
    """`action(0)` … `action(count - 1)`, at most so many in flight; their results in order."""
    numbers = iter(range(count))
    results: list[Any] = [None] * count

    async def lane() -> None:
        for number in numbers:
            results[number] = await action(number)

    await asyncio.gather(*[lane() for _ in range(min(most, count))])
    return results


async def w1(system: System, scale: float) -> Figures:
    """One workflow of one activity after the other."""
    count = int(200 * scale)
    took = [await timed(lambda: system.execute("seq", 1)) for _ in range(count)]
    return {
        "n": count,
        **spread(took),
        "mean_ms": milliseconds(sum(took) / count),
        "per_s": round(count / sum(took), 1),
    }


async def w2(system: System, scale: float) -> Figures:
    """Many workflows of one activity, 200 in flight."""
    count = int(2000 * scale)
    before = time.perf_counter()
    took = await capped(count, 200, lambda _: timed(lambda: system.execute("seq", 1)))
    seconds = time.perf_counter() - before
    return {
        "n": count,
        "s": round(seconds, 3),
        "wf_per_s": round(count / seconds, 1),
        **spread(took),
    }


async def w3(system: System, scale: float) -> Figures:
    """Ten activities each, all workflows in flight."""
    count = int(300 * scale)
    before = time.perf_counter()

    async def one(_: int) -> float:
        began = time.perf_counter()
        assert len(await system.execute("seq", 10)) == 10
        return time.perf_counter() - began

    took = await capped(count, 300, one)
    seconds = time.perf_counter() - before
    return {
        "n": count,
        "s": round(seconds, 3),
        "act_per_s": round(count * 10 / seconds, 1),
        **spread(took),
    }


async def w4(system: System, scale: float) -> Figures:
    """A hundred activities at once, in twenty workflows."""
    count, width = int(20 * scale), 100
    before = time.perf_counter()

    async def one(_: int) -> float:
        began = time.perf_counter()
        assert await system.execute("fan", width) == width
        return time.perf_counter() - began

    took = await capped(count, count, one)
    seconds = time.perf_counter() - before
    return {
        "n": count,
        "s": round(seconds, 3),
        "act_per_s": round(count * width / seconds, 1),
        **spread(took),
    }


async def w5(system: System, scale: float) -> Figures:
    """A thousand activities in one workflow, one after the other."""
    count = int(1000 * scale)
    before = time.perf_counter()
    stamps = await system.execute("seq", count)
    seconds = time.perf_counter() - before
    steps = [b - a for a, b in pairwise(stamps)]
    return {
        "n": count,
        "s": round(seconds, 3),
        "act_per_s": round(count / seconds, 1),
        "first100_ms_per_step": milliseconds(sum(steps[:99]) / len(steps[:99])),
        "last100_ms_per_step": milliseconds(sum(steps[-99:]) / len(steps[-99:])),
        **spread(steps, "step_"),
    }


async def w6(system: System, scale: float) -> Figures:
    """Five hundred waiting workflows, all signalled at once."""
    count = int(500 * scale)
    handles = await capped(count, 100, lambda _: system.start("sig", None))
    results = [asyncio.ensure_future(system.result(handle)) for handle in handles]
    await asyncio.sleep(3)  # all of them wait by then
    before = time.perf_counter()
    sent = [0.0] * count

    async def tell(number: int) -> None:
        sent[number] = time.time()
        await system.signal(handles[number])

    telling = asyncio.ensure_future(capped(count, 100, tell))
    ended = await asyncio.gather(*results)
    seconds = time.perf_counter() - before
    await telling
    lag = [end - began for end, began in zip(ended, sent, strict=True)]
    return {
        "n": count,
        "s": round(seconds, 3),
        "sig_per_s": round(count / seconds, 1),
        **spread(lag, "sig_to_wfend_"),
    }


async def w7(system: System, scale: float) -> Figures:
    """A thousand timers of two seconds."""
    count, delay = int(1000 * scale), 2.0
    before = time.perf_counter()

    async def one(_: int) -> tuple[float, float]:
        at, began = time.time(), time.perf_counter()
        woke = await system.execute("timer", delay)
        return woke - at - delay, time.perf_counter() - began - delay

    lags = await capped(count, count, one)
    seconds = time.perf_counter() - before
    return {
        "n": count,
        "all_done_minus_2s": round(seconds - delay, 3),
        **spread([lag for lag, _ in lags], "lag_"),
        **spread([lag for _, lag in lags], "client_lag_"),
    }


WORKLOADS = {"W1": w1, "W2": w2, "W3": w3, "W4": w4, "W5": w5, "W6": w6, "W7": w7}
IDLE_SECONDS = 10
