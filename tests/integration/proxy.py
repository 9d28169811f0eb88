"""A proxy before Postgres that swallows replies and cuts connections: the network at its worst."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Any, Self

import asyncpg

_NAME = re.compile(rb"application_name\0([^\0]*)\0")


class Proxy:
    """Stands before the server of `dsn`; within `async with` it has an address, `proxy.dsn`.

    Attributes:
        swallowing: while True, what the server says reaches nobody.
        muted: the name of an application; its connections, and new ones, are dead without a word.
        deaf_after: words after which, once a client has said them, the server is swallowed.
    """

    def __init__(self, dsn: str) -> None:
        self._target = dsn
        self._address: Any = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.swallowing = False
        self.muted: str | None = None
        self.deaf_after: bytes | None = None
        self._frozen: set[asyncio.StreamWriter] = set()
        self.dsn = ""

    async def __aenter__(self) -> Self:
        probe = await asyncpg.connect(self._target)
        self._address, params = probe._addr, probe._params
        await probe.close()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        password = f":{params.password}" if params.password else ""
        self.dsn = f"postgresql://{params.user}{password}@127.0.0.1:{port}/{params.database}?sslmode=disable"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    def cut(self) -> None:
        """Break every connection, as a pulled cable does; the server goes on with what it has."""
        for writer in self._writers:
            writer.transport.abort()

    def freeze(self) -> None:
        """Let every connection that there is go dead without a word, as a lost route does.

        What is sent on it from now on, either way, reaches nobody; new connections are served.
        """
        self._frozen |= self._writers

    def drop_frozen(self) -> None:
        """Break the connections that went dead, as the system does after a quarter of an hour."""
        for writer in self._frozen:
            writer.transport.abort()
        self._frozen.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if isinstance(self._address, str):
                upstream = await asyncio.open_unix_connection(self._address)
            else:
                upstream = await asyncio.open_connection(*self._address)
        except OSError:  # the server is down, and refuses as it does without us
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers |= {writer, upstream[1]}
        name: list[str] = []
        try:
            await asyncio.gather(
                self._pump(reader, upstream[1], name, replies=False),
                self._pump(upstream[0], writer, name, replies=True),
            )
        finally:
            writer.transport.abort()
            upstream[1].transport.abort()
            self._tasks.discard(task)
            self._writers -= {writer, upstream[1]}
            self._frozen -= {writer, upstream[1]}

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, name: list[str], *,
        replies: bool,
    ) -> None:  # fmt: skip
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                if not name and (found := _NAME.search(data)):
                    name.append(found[1].decode())
                if self.muted is not None and self.muted in name:
                    continue
                if not replies and self.deaf_after is not None and self.deaf_after in data:
                    self.swallowing = True
                if not (replies and self.swallowing) and sink not in self._frozen:
                    sink.write(data)
                    await sink.drain()
        sink.transport.abort()
