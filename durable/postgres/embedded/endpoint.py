"""Where the server listens: a socket beside its data, a socket elsewhere, or a port with scram."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from durable.postgres.embedded import ownership, trust
from durable.postgres.embedded.cluster import DATABASE, SUPERUSER
from durable.postgres.embedded.errors import ANOTHER, LauncherError
from durable.postgres.embedded.home import Home
from durable.postgres.embedded.ownership import Account

PORT = 5432  # a part of the socket's name
LOOPBACK = "127.0.0.1"
SOCKET_BYTES_MAX = 100  # sun_path has room for 103 (macOS) or 107 (Linux), and a terminating zero
SHORT_DIRECTORIES = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - owner and mode are checked
REACH_SECONDS_MAX = 10
REACH_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of the server: `host` is a directory (with a socket) or an IP address."""

    host: str
    port: int
    version: str

    @property
    def is_socket(self) -> bool:
        """True for a unix socket, where the directory's mode is the guard and no password."""
        return self.host.startswith("/")

    def dsn(self, password: str) -> str:
        """Return the URI for asyncpg, psycopg and psql; `password` is used on TCP only.

        Example:
            >>> Endpoint("/srv/.pg/data", 5432, "18.1").dsn("")
            'postgresql://postgres@/postgres?host=/srv/.pg/data&port=5432&sslmode=disable'
        """
        if self.is_socket:
            where = f"host={quote(self.host)}&port={self.port}&sslmode=disable"
            return f"postgresql://{SUPERUSER}@/{DATABASE}?{where}"
        user = f"{SUPERUSER}:{quote(password, safe='')}"
        return f"postgresql://{user}@{self.host}:{self.port}/{DATABASE}?sslmode=disable"


def choose(
    home: Home,
    account: Account | None,
    version: str,
    short_directories: Sequence[Path] = SHORT_DIRECTORIES,
) -> Endpoint:
    """Return where the server shall listen; the same as the last time wherever that can be."""
    if _fits(home.data):
        return Endpoint(str(home.data), PORT, version)
    name = f"embedded-postgres-{hashlib.sha256(bytes(home.root)).hexdigest()[:12]}"
    for parent in short_directories:
        if _fits(parent / name) and _claim(parent / name, account):
            return Endpoint(str(parent / name), PORT, version)
    last = recorded(home)
    port = last.port if last is not None and not last.is_socket else 0
    return Endpoint(LOOPBACK, _free_port(port), version)


def settings(home: Home, endpoint: Endpoint) -> dict[str, str]:
    """Return the server's settings for `endpoint`; the server runs in its data directory."""
    if not endpoint.is_socket:
        directories, addresses = "", endpoint.host
    else:
        # A relative name has no closed directories before it, and is never too long.
        directories = "." if endpoint.host == str(home.data) else endpoint.host
        addresses = ""
    return {
        "listen_addresses": addresses,
        "port": str(endpoint.port),
        "unix_socket_directories": directories,
        "unix_socket_permissions": "0700",
    }


def record(home: Home, endpoint: Endpoint, account: Account | None) -> None:
    """Write `endpoint` down for the processes that find the server running."""
    ownership.rewrite(home.endpoint, json.dumps(asdict(endpoint)) + "\n", account)


def recorded(home: Home) -> Endpoint | None:
    """Return the endpoint of the server that runs, or ran last; None when there was none."""
    try:
        found = json.loads(trust.read(home.endpoint))
        return Endpoint(str(found["host"]), int(found["port"]), str(found["version"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # never written, or by hand: the next start writes it anew


def password(home: Home) -> str:
    """Return the superuser's password."""
    return trust.read(home.password).strip()


def check(home: Home) -> None:
    """Make sure that this process can reach the server that says it is ready.

    One that was killed has left the same words, so a refused connection is tried again until its
    watcher has started another.

    Raises:
        LauncherError: it cannot be reached; the message names the address.
    """
    deadline = time.monotonic() + REACH_SECONDS_MAX
    while True:
        address = recorded(home)
        try:
            if address is not None:
                _knock(address)
        except (ConnectionRefusedError, FileNotFoundError) as error:
            if time.monotonic() > deadline:
                raise _unreachable(home, error) from error
            time.sleep(REACH_POLL_SECONDS)
        except OSError as error:
            raise _unreachable(home, error) from error
        else:
            return


def _knock(address: Endpoint) -> None:
    kind = socket.AF_UNIX if address.is_socket else socket.AF_INET
    with socket.socket(kind, socket.SOCK_STREAM) as client:
        client.settimeout(REACH_SECONDS_MAX)
        client.connect(
            f"{address.host}/.s.PGSQL.{address.port}"
            if address.is_socket
            else (address.host, address.port)
        )


def _unreachable(home: Home, error: OSError) -> LauncherError:
    return LauncherError(
        f"The embedded Postgres in {home.root} runs, but this process cannot reach it "
        f"({error.strerror or error}). Run the program as the same user as the other processes "
        f"that use it; see {home.endpoint} for the address and {home.log}, "
        f"or {ANOTHER}."
    )


def _fits(directory: Path) -> bool:
    return len(bytes(directory / f".s.PGSQL.{PORT}")) <= SOCKET_BYTES_MAX


def _claim(directory: Path, account: Account | None) -> bool:
    """Create `directory` for the server alone; False when it cannot be had, or is another's."""
    owner = os.geteuid() if account is None else account.uid
    try:
        with suppress(FileExistsError):
            directory.mkdir(mode=ownership.DIRECTORY_MODE)
            if account is not None:
                account.own(directory)
        found = directory.lstat()
    except OSError:
        return False
    closed = stat.S_IMODE(found.st_mode) == ownership.DIRECTORY_MODE
    return stat.S_ISDIR(found.st_mode) and found.st_uid == owner and closed


def _free_port(wanted: int) -> int:
    """Return `wanted` while nobody else listens there, else another port that is free."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((LOOPBACK, port))
            return int(probe.getsockname()[1])
    raise LauncherError(
        f"No TCP port is free on {LOOPBACK}, and {SHORT_DIRECTORIES[0]} holds no socket. Run in a "
        f"directory with a shorter path, or {ANOTHER}."
    )
