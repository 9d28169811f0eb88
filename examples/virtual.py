"""Functions by topic: an exchange rate that is asked for once, and a bell that rings each second.

Run it without any set-up:  python examples/virtual.py
"""

import asyncio

import durable

RATES = {"EUR": 1.07, "JPY": 0.0065}


async def rate(currency: str) -> float:
    print(f"asking for {currency}")
    return RATES[currency]


async def kept(virtual: durable.Virtual, currency: str) -> float:
    """The rate, asked for by one caller at a time and kept for an hour."""
    return await virtual.exec(topic="rate", args=[currency], id=currency, ttl="1 hour")


async def main() -> None:
    client = await durable.connect()
    rung: asyncio.Queue[durable.VirtualContext] = asyncio.Queue()

    async def ring() -> None:
        await rung.put(durable.Virtual.get_context())

    async with await durable.Virtual.init(connection=client) as virtual:
        await virtual.connect(topic="rate", callback=rate)
        print("five answers:", *await asyncio.gather(*(kept(virtual, "EUR") for _ in range(5))))
        print(await kept(virtual, "JPY"))
        await virtual.flush(topic="rate", id="EUR")
        print(await kept(virtual, "EUR"))

        bell = {"topic": "bell", "id": "tower", "interval": "1 second", "callback": ring}
        for _ in range(2):
            print("begun" if await virtual.cron(**bell) else "rings already")
        for _ in range(3):
            context = await rung.get()
            if context.tick is not None:
                print("ring", context.tick.number)
        print("stopped" if await virtual.interrupt(topic="bell", id="tower") else "rang no more")
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())

# asking for EUR
# five answers: 1.07 1.07 1.07 1.07 1.07
# asking for JPY
# 0.0065
# asking for EUR
# 1.07
# begun
# rings already
# ring 1
# ring 2
# ring 3
# stopped
