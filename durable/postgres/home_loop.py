"""Which event loop something belongs to, and the errors of using it from another one.

Connections, futures and tasks belong to the loop on which they were made. Awaited on another they
would hang, or fail in the words of a driver; awaited in a workflow they would end up in no history.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from durable.errors import ConfigurationError, NotDurableError

IN_AN_ACTIVITY = "do it in an activity"


class HomeLoop:
    """The loop that was running when this was made.

    Args:
        owner: what belongs to it, for messages: "this client".
    """

    __slots__ = ("_loop", "_owner")

    def __init__(self, owner: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._owner = owner

    def check(self, used: str, instead: str = IN_AN_ACTIVITY) -> None:
        """Raise unless the running loop is this one, or none runs: then nothing can be awaited.

        Args:
            used: what was called, for the message: "client.start()".
            instead: what workflow code is to do.

        Raises:
            NotDurableError: it is workflow code that runs.
            ConfigurationError: it is another loop.
        """
        running = asyncio._get_running_loop()  # noqa: SLF001 - the only form that does not raise
        if running is not self._loop and running is not None:
            raise self._refusal(running, used, instead)

    def _refusal(self, running: Any, used: str, instead: str) -> Exception:
        if getattr(running, "of_workflow", False):
            return NotDurableError(
                f"{used} was called in the code of a workflow, where it would be in no history and"
                f" be done again at each replay: {instead}"
            )
        gone = ", which is closed by now" if self._loop.is_closed() else ""
        return ConfigurationError(
            f"{used} was called on another event loop than the one that {self._owner} was made on"
            f"{gone}: connect within the same asyncio.run(), or in each thread for itself; or hand"
            " the call to its loop: asyncio.run_coroutine_threadsafe(call, loop)"
        )


def call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    """Have a loop call something soon, from any thread; nothing where the loop is closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)
