"""A graph written by hand: two sums at once, and a division that may go wrong.

Run it without any set-up:  python examples/hotmesh_calc.py
"""

import asyncio
from typing import Any

import durable

CALC = """
app:
  id: calc
  version: '1'
  graphs:
    - subscribes: calculate
      publishes: calculated
      activities:
        start: {type: trigger}
        add:
          type: worker
          topic: op.add
          input: {maps: {values: ['{start.output.data.a}', '{start.output.data.b}']}}
          job: {maps: {sum: '{$self.output.data.result}'}}
        divide:
          type: worker
          topic: op.divide
          input: {maps: {values: ['{start.output.data.a}', '{start.output.data.b}']}}
          job: {maps: {quotient: '{$self.output.data.result}'}}
        explain:
          type: hook
          job: {maps: {problem: '{divide.output.metadata.err.message}'}}
      transitions:
        start: [{to: add}, {to: divide}]
        divide: [{to: explain, conditions: {code: 422}}]
"""


async def add(message: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"result": sum(message["data"]["values"])}}


async def divide(message: dict[str, Any]) -> dict[str, Any]:
    a, b = message["data"]["values"]
    if b == 0:
        return {"status": "error", "code": 422, "data": {"message": "nothing can be divided by 0"}}
    return {"data": {"result": a / b}}


async def main() -> None:
    client = await durable.connect()
    mesh = await durable.HotMesh.init(
        app_id="calc",
        engine={"connection": client},
        workers=[{"topic": "op.add", "callback": add}, {"topic": "op.divide", "callback": divide}],
    )
    await mesh.deploy(CALC)
    await mesh.activate("1")
    for b in (4, 0):
        job = await mesh.pubsub("calculate", {"a": 6, "b": b}, timeout="10s")
        print(f"6 and {b}:", ", ".join(f"{k} {v}" for k, v in sorted(job["data"].items())))
    await mesh.stop()
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())

# 6 and 4: quotient 1.5, sum 10
# 6 and 0: problem nothing can be divided by 0, sum 6
