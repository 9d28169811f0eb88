"""A graph that awaits a workflow, which awaits a graph, whose worker is an activity.

Run it without any set-up:  python examples/crossing.py
"""

import asyncio

import durable

SHOP = """
app:
  id: shop
  version: '1'
  graphs:
    - subscribes: order                       # a graph …
      activities:
        start: {type: trigger}
        fulfil:                               # … awaits a workflow, by its name and task queue
          type: await
          topic: fulfil
          app: default
          input: {maps: {item: '{start.output.data.item}', copies: '{start.output.data.copies}'}}
          job: {maps: {sent: '{$self.output.data.result}'}}
        apologise:
          type: hook
          job: {maps: {sorry: '{fulfil.output.metadata.err.message}'}}
      transitions:
        start: [{to: fulfil}]
        fulfil: [{to: apologise, conditions: {code: 500}}]
    - subscribes: price                       # the workflow awaits this graph …
      activities:
        start: {type: trigger}
        ask:                                  # … whose worker is the activity `price_of`
          type: worker
          topic: price_of
          input: {maps: {item: '{start.output.data.item}'}}
          job: {maps: {price: '{$self.output.data.result}'}}
      transitions: {start: [{to: ask}]}
"""

PRICES = {"lamp": 30, "chair": 50}


@durable.activity
async def price_of(item: str) -> int:
    return PRICES[item]


@durable.workflow
async def fulfil(item: str, copies: int) -> str:
    if item not in PRICES:
        raise ValueError(f"there is no {item}")
    found = await durable.graph("price", {"item": item}, app="shop", returns=dict[str, int])
    return f"{copies} x {item} for {copies * found['price']}"


async def main() -> None:
    client = await durable.connect()
    mesh = await durable.HotMesh.init(app_id="shop", engine={"connection": client})
    async with client, mesh:
        await mesh.deploy(SHOP)
        await mesh.activate("1")
        async with (
            durable.Worker(client, workflows=[fulfil]),
            durable.Worker(client, activities=[price_of], task_queue="shop"),
        ):
            for order in ({"item": "lamp", "copies": 3}, {"item": "ship", "copies": 1}):
                job = await mesh.pubsub("order", order, timeout="30 seconds")
                print(job["data"].get("sent") or job["data"]["sorry"])


if __name__ == "__main__":
    asyncio.run(main())

# 3 x lamp for 90
# ValueError: there is no ship
