"""Restate: its server (Rust, a log on disk with fsync) and a service under hypercorn, by HTTP."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.systems.system import PROJECT, System

INGRESS, ADMIN, NODE, SERVICE = 8180, 9170, 5222, 9180
CONFIGURATION = """
cluster-name = "bench"
base-dir = "{home}/data"
bind-ip = "127.0.0.1"
bind-port = {node}
listen-mode = "tcp"
disable-telemetry = true
default-num-partitions = 4
log-filter = "warn"
[admin]
bind-port = {admin}
[ingress]
bind-port = {ingress}
"""


class Restate(System):
    """Steps are journaled in the handler's own process, as its docs do."""

    name = "Restate"
    postgres = False

    async def begin(self) -> None:
        """An empty server, and the service registered with it."""
        shutil.rmtree(self.home / "data", ignore_errors=True)
        file = self.home / "restate.toml"
        file.write_text(
            CONFIGURATION.format(home=self.home, node=NODE, admin=ADMIN, ingress=INGRESS)
        )
        (binary,) = self.home.glob(
            "server/node_modules/@restatedev/restate-server-*/bin/restate-server"
        )
        with (self.home / "log").open("ab") as log:
            self.processes["server"] = subprocess.Popen(
                [binary, "--config-file", file, "--no-logo"], stdout=log, stderr=log, cwd=self.home
            )
            self.processes["worker"] = subprocess.Popen(
                [
                    Path(sys.executable).with_name("hypercorn"), "--bind", f"127.0.0.1:{SERVICE}",
                    "benchmarks.systems.restate_service:app",
                ],
                stdout=log, stderr=log, cwd=PROJECT,
            )  # fmt: skip
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=2000), timeout=aiohttp.ClientTimeout(total=300)
        )
        await self._until("get", "health", None)
        await self._until(
            "post", "deployments", {"uri": f"http://127.0.0.1:{SERVICE}", "force": True}
        )
        await asyncio.sleep(2)  # its partitions elect their leaders

    async def _until(self, method: str, path: str, body: Any) -> None:
        for _ in range(200):
            try:
                url = f"http://127.0.0.1:{ADMIN}/{path}"
                async with self.session.request(method, url, json=body) as response:
                    if response.status in {200, 201}:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)
        sys.exit("Restate did not start; its log tells why")

    async def end(self) -> None:
        """Disconnect."""
        await self.session.close()

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        url = f"http://127.0.0.1:{INGRESS}/{path}"
        async with self.session.request(method, url, json=body) as response:
            text = await response.read()
            assert response.status in {200, 202}, text
            return json.loads(text) if text else None

    async def execute(self, workflow: str, argument: Any) -> Any:
        """A call that waits for the answer: its own short road."""
        return await self._ask("post", f"{workflow}/run", argument)

    async def start(self, workflow: str, argument: Any) -> str:
        """Only runs that wait for a signal are started without waiting."""
        assert workflow == "sig"
        run = uuid.uuid4().hex
        await self._ask("post", f"sig/{run}/run/send", argument or 0)
        return run

    async def result(self, handle: str) -> Any:
        """Attach to the run."""
        return await self._ask("get", f"restate/workflow/sig/{handle}/attach")

    async def signal(self, handle: str) -> None:
        """Resolve its promise."""
        await self._ask("post", f"sig/{handle}/resolve", "x")


SYSTEM = Restate
