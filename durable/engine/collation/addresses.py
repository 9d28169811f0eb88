"""Dimensional addresses: `,0` is the trigger, `,0,0` its children, `,0,1` their next dimension."""

from __future__ import annotations

from collections.abc import Iterator

ROOT = ",0"


def leg1(dad: str) -> str:
    """The address under which an activity was entered, from that of any of its answers.

    Example:
        >>> leg1(",0,3")
        ',0,0'
    """
    return f"{dad[: dad.rindex(',')]},0"


def answer(dad: str, number: int) -> str:
    """The address of answer `number`, counted from 0, of the activity entered at `dad`.

    Example:
        >>> answer(",0,0", 2)
        ',0,2'
    """
    return f"{dad[: dad.rindex(',')]},{number}"


def below(dad: str, way: int = 0) -> str:
    """The address at which children of an answer are entered.

    Where branches come together in a child, its second `way` and those after it have a level of
    their own, so that each has its own dimensions.

    Example:
        >>> below(",0,2"), below(",0,2", 1)
        (',0,2,0', ',0,2,-1,0')
    """
    return f"{dad},-{way},0" if way else f"{dad},0"


def at_depth(dad: str, depth: int) -> str:
    """The ancestor of an address at a depth, 0 being the trigger.

    Example:
        >>> at_depth(",0,2,0,5", 1)
        ',0,2'
    """
    return "".join(f",{step}" for step in dad.split(",")[1 : depth + 2])


def depth(dad: str) -> int:
    """How deep an address lies, 0 being the trigger.

    Example:
        >>> depth(",0,2,0")
        2
    """
    return dad.count(",") - 1


def lineage(dad: str) -> Iterator[str]:
    """Every address at which a step at `dad` may read or count: itself, ancestors, first legs.

    Example:
        >>> list(lineage(",0,2,0"))
        [',0', ',0,2', ',0,0', ',0,2,0']
    """
    end = 0
    while end != -1:
        end = dad.find(",", end + 1)
        address = dad if end == -1 else dad[:end]
        yield address
        if not address.endswith(",0"):
            yield leg1(address)
