"""A library: each loan is a run that keeps account of itself, so that the desk can ask for loans.

Who has what, what is overdue, how often something was renewed: asked of the runs themselves, by
their attributes, while they wait for the book to come back.
"""

import asyncio

import durable

renewed = durable.Signal("renewed")
returned = durable.Signal("returned")


@durable.activity
async def remind(reader: str, title: str, time: float) -> None:
    print(f"{time:g}. reminder to {reader}: {title}")


@durable.workflow
async def loan(reader: str, title: str, seconds: float) -> int:
    """Lend a book; the reader may renew it, and is reminded once it is overdue."""
    durable.set_attributes(reader=reader, title=title, overdue=False, renewals=0)
    story = durable.entity()
    story.set({"reader": reader, "events": ["lent"]})
    back = asyncio.create_task(returned.receive())

    async def renewals() -> None:
        async for _ in renewed:
            durable.attributes().incr("renewals")
            story.append("events", "renewed")

    renewing = asyncio.create_task(renewals())
    while not back.done():
        await asyncio.wait({back}, timeout=seconds)
        if not back.done():
            await remind(reader, title, story.increment("reminders"))
            durable.set_attributes(overdue=True)
            story.append("events", "reminded")
            seconds = 3600
    renewing.cancel()
    durable.set_attributes(overdue=False)
    story.append("events", "returned")
    return len(story.get("events"))


async def until(client: durable.Client, count: int, **attributes: str | int | bool) -> None:
    """Look until so many loans have these attributes."""
    while await client.count(state="running", attributes=attributes) != count:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def titles(client: durable.Client, **attributes: str | int | bool) -> str:
    """The loans that are out and have these attributes."""
    found = await client.list(state="running", attributes=attributes)
    return ", ".join(sorted(run.id for run in found)) or "nothing"


async def main() -> None:
    client = await durable.connect()
    async with client, durable.Worker(client, workflows=[loan], activities=[remind]):
        emma = await client.start(loan("ann", "Emma", 3600), id="Emma", if_running="attach")
        await client.start(loan("ann", "Dubliners", 0.1), id="Dubliners", if_running="attach")
        await client.start(loan("bob", "Middlemarch", 3600), id="Middlemarch", if_running="attach")
        await emma.signal(renewed)
        await until(client, 1, overdue=True)
        await until(client, 1, renewals=1)
        print("ann has", await titles(client, reader="ann"))
        print("overdue is", await titles(client, overdue=True))
        print("renewed is", await titles(client, renewals=1))
        for title in ("Emma", "Dubliners", "Middlemarch"):
            handle = client.handle(title)
            await handle.signal(returned)
            await handle.result()
        print("lent is", await titles(client))
        story = (await emma.describe()).entity or {}
        print("Emma was", *story["events"])


if __name__ == "__main__":
    asyncio.run(main())

# 1. reminder to ann: Dubliners
# ann has Dubliners, Emma
# overdue is Dubliners
# renewed is Emma
# lent is nothing
# Emma was lent renewed returned
