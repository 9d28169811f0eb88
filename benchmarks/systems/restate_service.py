"""The workflows of the Restate system, served to its server over HTTP by hypercorn."""

import time
from datetime import timedelta

import restate
from restate import Context, Service, Workflow, WorkflowContext, WorkflowSharedContext


async def tick() -> float:
    """The time."""
    return time.time()


seq = Service("seq")
fan = Service("fan")
sig = Workflow("sig")
timer = Service("timer")


@seq.handler("run")
async def seq_run(context: Context, count: int) -> list[float]:
    """Journaled steps one after the other."""
    return [await context.run_typed(f"s{number}", tick) for number in range(count)]


@fan.handler("run")
async def fan_run(context: Context, count: int) -> int:
    """Journaled steps at once."""
    await restate.gather(*[context.run_typed(f"s{number}", tick) for number in range(count)])
    return count


@sig.main("run")
async def sig_run(context: WorkflowContext, _: int) -> float:
    """Waits for a promise."""
    await context.promise("go", type_hint=str).value()
    return time.time()


@sig.handler("resolve")
async def sig_resolve(context: WorkflowSharedContext, value: str) -> None:
    """Resolves it."""
    await context.promise("go", type_hint=str).resolve(value)


@timer.handler("run")
async def timer_run(context: Context, delay: float) -> float:
    """Sleeps."""
    await context.sleep(timedelta(seconds=delay))
    return time.time()


app = restate.app([seq, fan, sig, timer])
