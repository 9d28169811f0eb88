"""The smallest whole program: an activity, a workflow, a worker and a result."""

import asyncio

import durable


@durable.activity
async def greet(name: str) -> str:
    return f"Hello, {name}!"


@durable.workflow
async def welcome(names: list[str]) -> list[str]:
    return await asyncio.gather(*[greet(name) for name in names])


async def main() -> None:
    client = await durable.connect()  # DURABLE_DATABASE_URL, or an embedded Postgres
    async with client, durable.Worker(client, workflows=[welcome], activities=[greet]):
        print(await client.execute(welcome(["Ann", "Bob"])))


if __name__ == "__main__":
    asyncio.run(main())

# It prints ['Hello, Ann!', 'Hello, Bob!'].
