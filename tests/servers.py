"""The Postgres servers of tests: in directories of their own, thrown away at the end."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

from durable.postgres.embedded import binaries
from durable.postgres.embedded.launcher import Embedded, ensure_running

PG_BIN = "DURABLE_PG_BIN"


async def started(home: Path) -> Embedded:
    """A server in a directory: of the programs that DURABLE_PG_BIN names, else of the wheel.

    For users the wheel comes first. Here it would hide the Postgres that is to be tried.
    """
    named = os.environ.get(PG_BIN)
    if not named:
        return await ensure_running(home)
    with mock.patch.object(binaries, "WHEEL", "no_wheel"):
        return await ensure_running(home, pg_bin=named)
