"""Mistakes that a type checker must find.

Each line with an ignore is one. Both checkers report an ignore that is not needed, so a mistake
that is no longer found fails the check.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

import asyncio

import durable


@durable.activity
async def charge(order: str, *, times: int = 1) -> int:
    return times * len(order)


@durable.activity(priority=1)
def checksum(data: bytes) -> int:
    return len(data)


@durable.workflow
async def fulfil(order: str) -> str:
    await charge(order.encode())  # type: ignore[arg-type]
    await charge()  # type: ignore[call-arg]
    await charge("o", 2)  # type: ignore[call-arg]
    await charge("o", times="2")  # type: ignore[arg-type]
    await charge("o", unknown=1)  # type: ignore[call-arg]
    await checksum("text")  # type: ignore[arg-type]
    wrong: str = await charge("o")  # type: ignore[assignment]
    first, second = await asyncio.gather(charge("o"), checksum(b""))
    wrong = first  # type: ignore[assignment]
    await fulfil(b"")  # type: ignore[arg-type]
    charge.options(priority="high")  # type: ignore[arg-type]
    charge.options(retries=3)  # type: ignore[call-arg]
    await charge.options(priority=1)(7)  # type: ignore[arg-type]
    payload: int = await durable.Signal("approval", str).receive()  # type: ignore[assignment]
    await durable.sleep(None)  # type: ignore[arg-type]
    return wrong + str(second + payload)


@durable.workflow  # type: ignore[arg-type]
def not_async(order: str) -> str:
    return order


@durable.workflow(name=7)  # type: ignore[call-overload, untyped-decorator]
async def misnamed() -> None: ...


@durable.activity(timeout=5)  # type: ignore[call-overload, untyped-decorator]
async def mistaken() -> None: ...


approval = durable.Signal("approval", int)


async def client_side(client: durable.Client) -> None:
    handle = await client.start(fulfil("o"))
    number: int = await handle.result()  # type: ignore[assignment]
    number = await handle.status()  # type: ignore[assignment]
    await handle.signal(approval, "yes")  # type: ignore[misc]
    await client.list(state="bogus")  # type: ignore[arg-type]
    await client.list(state=["running", "bogus"])  # type: ignore[list-item]
    await client.list(limit="5")  # type: ignore[arg-type]
    await client.count(workflow=charge)  # type: ignore[arg-type]
    client.handle(fulfil)  # type: ignore[call-overload]
    await client.start(fulfil("o"), if_running="wait")  # type: ignore[call-overload]
    durable.Worker(client, workflows=[fulfil], max_runs="many")  # type: ignore[arg-type]
    await client.start(fulfil)  # type: ignore[call-overload]
    await client.start(fulfil(number))  # type: ignore[arg-type]
