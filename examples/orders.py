"""Three orders: paid through a flaky gateway, approved by a person or refunded, and shipped.

Kill it whenever you like and start it again: it goes on where it was, and charges each order once.
`--pace real` waits as a shop would (three days for an approval, an hour until dispatch); the pace
of the demonstration is seconds.
"""

import argparse
import asyncio
import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import durable


@dataclass(frozen=True)
class Order:
    id: str
    item: str
    cents: int
    ledger: str  # the gateway's book, a file: what it was asked, order by order


@dataclass(frozen=True)
class Pace:
    """How long things take, in seconds."""

    retry: float
    approval: float
    dispatch: float


PACES = {"real": Pace(2, 3 * 86_400, 3_600), "demo": Pace(0.1, 2, 0.5)}


@dataclass(frozen=True)
class Receipt:
    order: str
    cents: int
    attempt: int


@dataclass(frozen=True)
class Approval:
    by: str


@dataclass(frozen=True)
class Shipment:
    order: str
    label: str
    approved_by: str


approval = durable.Signal("approval", Approval)


class GatewayDown(Exception):
    """The payment gateway does not answer."""


def book(order: Order, what: str) -> int:
    """Write a line into the ledger; how many of its kind there are for the order."""
    line = f"{order.id} {what}\n"
    with Path(order.ledger).open("a", encoding="utf-8") as ledger:
        ledger.write(line)
    return Path(order.ledger).read_text("utf-8").count(line)


@durable.activity(retry=durable.RetryPolicy(maximum_attempts=5, backoff_coefficient=2))
async def charge(order: Order) -> Receipt:
    attempt = book(order, "asked")
    if attempt <= 2:  # noqa: PLR2004 - it fails twice for each order
        raise GatewayDown(f"no answer for {order.id}, attempt {attempt}")
    book(order, "charged")
    return Receipt(order.id, order.cents, attempt)


@durable.activity
def print_label(order: Order) -> str:
    return f"{order.item.upper()} / {order.id}"


@durable.activity
async def refund(order: Order, receipt: Receipt) -> None:
    book(order, f"refunded {receipt.cents}")


@durable.activity
async def ship(order: Order, label: str, approved_by: str) -> Shipment:
    book(order, "shipped")
    return Shipment(order.id, label, approved_by)


@durable.workflow
async def fulfil(order: Order, pace: Pace) -> Shipment:
    patiently = durable.RetryPolicy(
        maximum_attempts=5, backoff_coefficient=2, initial_interval=pace.retry
    )
    receipt, label = await asyncio.gather(
        charge.options(retry=patiently)(order), print_label(order)
    )
    try:
        async with asyncio.timeout(pace.approval):
            decision = await approval.receive()
    except TimeoutError:
        await refund(order, receipt)
        raise
    await durable.sleep(pace.dispatch)
    return await ship(order, label, decision.by)


async def outcome(handle: durable.Handle[Shipment]) -> str:
    try:
        shipment = await handle.result()
    except durable.WorkflowFailed as failed:
        return f"{handle.id}: {type(failed.cause).__name__}, and the money is back"
    return f"{handle.id}: shipped as {shipment.label!r}, approved by {shipment.approved_by}"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pace", choices=PACES, default="demo")
    parser.add_argument("--ledger", type=Path, help="the gateway's book; a temporary file")
    given = parser.parse_args()
    ledger = given.ledger or Path(tempfile.mkdtemp()) / "ledger.txt"
    client = await durable.connect()
    worker = durable.Worker(
        client, workflows=[fulfil], activities=[charge, print_label, refund, ship]
    )
    async with client, worker:
        handles = [
            await client.start(
                fulfil(Order(name, item, cents, str(ledger)), PACES[given.pace]),
                id=name,
                if_running="attach",
            )
            for name, item, cents in (
                ("order-1", "lamp", 4_900), ("order-2", "sofa", 89_000), ("order-3", "rug", 12_500)
            )
        ]  # fmt: skip
        for handle, by in zip(handles, ("ann", "bob"), strict=False):  # nobody wants the rug
            with contextlib.suppress(durable.WorkflowEnded):  # attached to, and just done
                await handle.signal(approval, Approval(by))
        for line in await asyncio.gather(*map(outcome, handles)):
            print(line)
        for event in await handles[0].history():
            print(f"  {event.revision}. {event.kind} {event.name}".rstrip())


if __name__ == "__main__":
    asyncio.run(main())

# order-1: shipped as 'LAMP / order-1', approved by ann
# order-2: shipped as 'SOFA / order-2', approved by bob
# order-3: TimeoutError, and the money is back
#   1. started fulfil
#   2. signal approval
#   3. activity print_label
#   4. activity charge
#   5. timer timer
#   6. activity ship
#   7. finished completed
