"""Reading for many runs at once, where what one of them has may be unreadable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from durable.postgres.retrying import retry_until_connected
from durable.store.runs import ClaimedRun

R = TypeVar("R")

PAGE = 20_000  # facts that are read at once, for however many runs


def pages(claimed: Sequence[ClaimedRun]) -> Iterator[list[ClaimedRun]]:
    """The runs whose histories are read together: so many facts at most, or those of one run.

    >>> list(pages([]))
    []
    """
    page: list[ClaimedRun] = []
    facts = 0
    for run in claimed:
        if page and facts + run.revision > PAGE:
            yield page
            page, facts = [], 0
        page.append(run)
        facts += run.revision
    if page:
        yield page


async def read_apart(
    read: Callable[[Sequence[int]], Awaitable[dict[int, R]]], run_ids: Sequence[int]
) -> tuple[dict[int, R], dict[int, Exception]]:
    """What `read` finds for each run, and the error of each for which it cannot be read.

    A server that is away is waited for; anything else is found by halving.
    """
    if not run_ids:
        return {}, {}
    try:
        return await retry_until_connected(lambda: read(run_ids)), {}
    except Exception as error:  # noqa: BLE001 - it is the one run's whose error it is
        if len(run_ids) == 1:
            return {}, {run_ids[0]: error}
    middle = len(run_ids) // 2
    first, failed = await read_apart(read, run_ids[:middle])
    second, more = await read_apart(read, run_ids[middle:])
    return {**first, **second}, {**failed, **more}
