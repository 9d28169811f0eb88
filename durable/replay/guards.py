"""What a workflow may not do, and the error that says so.

Everything of asyncio's loop that reaches for the outside (sockets, threads, processes, signals, the
resolver) is refused: its outcome is in no history, so replay could not repeat it.
"""

from __future__ import annotations

import asyncio
import asyncio.tasks
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from durable.errors import NotDurableError

_TASKS_FILE = asyncio.tasks.__file__

_AS_COMPLETED = ("as_completed", "_AsCompletedIterator.__init__")  # to 3.12, from 3.13

_KNOWN_AS = {
    "run_in_executor": "asyncio.to_thread() / loop.run_in_executor()",
    "set_default_executor": "loop.set_default_executor()",
    "create_connection": "asyncio.open_connection() / loop.create_connection()",
    "create_server": "asyncio.start_server() / loop.create_server()",
    "create_unix_connection": "asyncio.open_unix_connection() / loop.create_unix_connection()",
    "create_unix_server": "asyncio.start_unix_server() / loop.create_unix_server()",
    "subprocess_exec": "asyncio.create_subprocess_exec() / loop.subprocess_exec()",
    "subprocess_shell": "asyncio.create_subprocess_shell() / loop.subprocess_shell()",
}
_REFUSED = (
    *_KNOWN_AS,
    "getaddrinfo", "getnameinfo",
    "create_datagram_endpoint", "connect_accepted_socket", "start_tls",
    "sendfile", "connect_read_pipe", "connect_write_pipe",
    "add_reader", "remove_reader", "add_writer", "remove_writer",
    "sock_recv", "sock_recv_into", "sock_recvfrom", "sock_recvfrom_into", "sock_sendall",
    "sock_sendto", "sock_connect", "sock_accept", "sock_sendfile",
    "add_signal_handler", "remove_signal_handler",
)  # fmt: skip
_DRIVEN = (
    "run_forever", "run_until_complete", "stop", "close", "shutdown_asyncgens",
    "shutdown_default_executor",
)  # fmt: skip


def _outside(name: str) -> Callable[..., object]:
    shown = _KNOWN_AS.get(name, f"loop.{name}()")

    def refuse(*_: object, **__: object) -> object:
        raise NotDurableError(
            f"{shown} reaches outside of the workflow and cannot be replayed: do it in an activity"
        )

    return refuse


def _driving(name: str) -> Callable[..., object]:
    def refuse(*_: object, **__: object) -> object:
        raise NotDurableError(
            f"loop.{name}(): the loop of a workflow is driven by its worker;"
            " await the coroutine instead"
        )

    return refuse


class NoOutside(asyncio.AbstractEventLoop):
    """An event loop that refuses all that replay could not repeat."""

    def get_debug(self) -> bool:
        """Never: asyncio asks with each future."""
        return False

    def set_debug(self, enabled: bool) -> None:  # noqa: FBT001 - asyncio's signature
        """Has no effect."""


for _name in _REFUSED:
    setattr(NoOutside, _name, _outside(_name))
for _name in _DRIVEN:
    setattr(NoOutside, _name, _driving(_name))


def check_task_factory(factory: object) -> None:
    """Refuse all but None and `asyncio.eager_task_factory`: others make tasks without a number."""
    if factory is not None and factory is not getattr(asyncio, "eager_task_factory", None):
        raise NotDurableError(
            "loop.set_task_factory(): the tasks of a workflow are numbered by its own loop; "
            "only None and asyncio.eager_task_factory are possible"
        )


def check_task_order(coroutine: object, depth: int = 1) -> None:
    """Refuse a task that `asyncio.as_completed` makes of a coroutine without a hash of its own.

    `as_completed` puts its arguments in a set first, and a coroutine's place in a set is given by
    its address. Tasks made one by one before have a place of their own.
    """
    frame: FrameType | None = sys._getframe(depth)  # noqa: SLF001 - the only way to see the caller
    while frame is not None and frame.f_code.co_filename == _TASKS_FILE:
        if frame.f_code.co_qualname in _AS_COMPLETED:
            hashed: object = type(coroutine).__hash__
            if hashed is not object.__hash__:
                return
            for given in _given(frame, coroutine):
                given.close()
            raise NotDurableError(
                "asyncio.as_completed() of bare coroutines takes their order from memory addresses,"
                " which replay cannot repeat: give it tasks,"
                " [asyncio.create_task(c) for c in coroutines]"
            )
        frame = frame.f_back


def _given(frame: FrameType, coroutine: object) -> list[Any]:
    """The coroutines that were given to `as_completed`: none of them will be awaited."""
    given = frame.f_locals.get("fs", frame.f_locals.get("aws"))
    listed = list(given) if isinstance(given, (list, tuple, set, frozenset, dict)) else []
    return [coroutine, *(c for c in listed if asyncio.iscoroutine(c) and c is not coroutine)]


def check_wait_order(durable: tuple[type, ...], depth: int = 1) -> None:
    """Refuse `asyncio.wait` on several futures of which one has its order from its address."""
    frame = sys._getframe(depth)  # noqa: SLF001 - the only way to see the caller
    if frame.f_code.co_name != "_wait" or frame.f_code.co_filename != _TASKS_FILE:
        return
    waited = frame.f_locals.get("fs", ())
    strangers = sorted({type(f).__name__ for f in waited if not isinstance(f, durable)})
    if strangers and len(waited) > 1:
        raise NotDurableError(
            f"asyncio.wait() got {', '.join(strangers)} objects, whose order in a set comes from"
            " memory addresses, which replay cannot repeat: give it tasks (put asyncio.gather()"
            " into a coroutine, and that into asyncio.create_task())"
        )
