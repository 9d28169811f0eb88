"""Find out whether the embedded Postgres is there, and start it where it is not."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from durable.postgres.embedded import (
    binaries,
    cluster,
    endpoint,
    failures,
    locks,
    ownership,
    relocation,
    trust,
    watcher,
)
from durable.postgres.embedded.binaries import Programs
from durable.postgres.embedded.endpoint import Endpoint
from durable.postgres.embedded.errors import ANOTHER, LauncherError
from durable.postgres.embedded.home import Home
from durable.postgres.embedded.ownership import Account

START_SECONDS_MAX = watcher.READY_SECONDS_MAX + 60
LEASE_SECONDS_MAX = 5  # a watcher that ends may close its hold on start.lock before users.lock
POLL_SECONDS = 0.02
LOG_BYTES_MAX = 10_000_000  # a longer log is put aside at the next start; one old one is kept
TCP_TRIES = 3  # between the choice of a free port and its use, somebody else may take it
PORT_TAKEN = "Address already in use"


@dataclass(frozen=True, slots=True)
class Embedded:
    """A running embedded Postgres, shared by all processes that work in this directory.

    Attributes:
        dsn: A URI for asyncpg, psycopg, psql; it names the superuser.
        home: The directory with its data, log and locks.
        version: Of the server, such as "18.1".
    """

    dsn: str
    home: Path
    version: str


async def ensure_running(
    home: Path, *, pg_bin: str | None = None, report: Callable[[str], None] | None = None
) -> Embedded:
    """Return the embedded Postgres that keeps its data in `home`, started if need be.

    This process counts as its user from then on, until it ends or says `release`: the server
    stops when its last user is gone. When all is well the answer costs some file look-ups, so
    it may be asked again at every lost connection.

    Args:
        home: The directory that holds everything; it is created.
        pg_bin: A bin directory with `postgres` and `initdb`.
        report: Gets one sentence at the start of each slow phase, in the caller's thread.

    Raises:
        LauncherError: It cannot run; the message says why and what to do.

    Example:
        >>> embedded = await ensure_running(Path(".postgres"))  # doctest: +SKIP
        >>> connection = await asyncpg.connect(embedded.dsn)  # doctest: +SKIP
    """
    found = _current(Home.at(home))
    if found is not None:
        return found
    loop = asyncio.get_running_loop()

    def tell(sentence: str) -> None:
        """Report on the loop of who waits, from the thread that starts the server."""
        if report is not None:
            loop.call_soon_threadsafe(report, sentence)

    return await asyncio.to_thread(ensure_running_blocking, home, pg_bin=pg_bin, report=tell)


def ensure_running_blocking(
    home: Path, *, pg_bin: str | None = None, report: Callable[[str], None] | None = None
) -> Embedded:
    """Do what `ensure_running` does, for code without an event loop."""
    return Launcher(Home.at(home), pg_bin, report or _silent).ensure()


def release(embedded: Embedded) -> None:
    """Stop being a user, for the whole of this process; the server stops if nobody else is one."""
    for descriptor in locks.open_here(Home.at(embedded.home).users_lock):
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Launcher:
    """One attempt to have the server of `home` running."""

    home: Home
    pg_bin: str | None
    report: Callable[[str], None]
    short_directories: Sequence[Path] = endpoint.SHORT_DIRECTORIES

    def ensure(self) -> Embedded:
        """Return the running server, after the slow path if need be."""
        found = _current(self.home)
        if found is not None:
            return found
        try:
            trust.examine(self.home, ownership.owners(self.home))
            account = ownership.server_account(self.home)
            ownership.prepare(self.home, account)
            with locks.exclusive(self.home.start_lock, wait_seconds=START_SECONDS_MAX):
                return self._join(account)
        except OSError as error:
            raise failures.refused(error, self.home) from error

    def _join(self, account: Account | None) -> Embedded:
        """Become a user, and start the server unless it runs; nobody else does so meanwhile."""
        if locks.open_here(self.home.users_lock):
            return self._start_unless_running(account)
        lease = locks.share(self.home.users_lock, wait_seconds=LEASE_SECONDS_MAX)
        try:
            return self._start_unless_running(account)
        except BaseException:
            os.close(lease)
            raise

    def _start_unless_running(self, account: Account | None) -> Embedded:
        if not self._outlast_watcher():
            self._start(account)
        endpoint.check(self.home)
        found = _current(self.home)
        if found is None:
            raise LauncherError(
                f"The embedded Postgres in {self.home.root} started and ended again at once. "
                f"See {self.home.log}, then try again, {failures.OR_ANOTHER}."
            )
        return found

    def _outlast_watcher(self) -> bool:
        """Wait while a watcher lives but its server is not ready; True when it became so."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while locks.is_held(self.home.watcher_lock):
            if _is_well(self.home):
                return True
            if time.monotonic() > deadline:
                raise LauncherError(
                    f"The embedded Postgres in {self.home.root} has not been ready for "
                    f"{START_SECONDS_MAX} s. See {self.home.log}, and end its watcher if it hangs."
                )
            time.sleep(POLL_SECONDS)
        return False

    def _start(self, account: Account | None) -> None:
        major = cluster.major_of(self.home)
        programs = binaries.choose(self.pg_bin, major=major)
        programs = relocation.reachable(programs, account, self.report)
        if major is None:
            self.report(
                f"Creating a Postgres {programs.major} data directory in {self.home.root.name}/ "
                f"(once)…"
            )
            cluster.create(self.home, programs, account)
        else:
            cluster.adopt(self.home, account, self.report)
        self.report(f"Starting Postgres {programs.major}…")
        _rotate(self.home)
        for tries_left in reversed(range(TCP_TRIES)):
            address = endpoint.choose(self.home, account, programs.version, self.short_directories)
            endpoint.record(self.home, address, account)
            said = self._run_watcher(programs, address, account)
            if said is None:
                return
            if address.is_socket or PORT_TAKEN not in said or not tries_left:
                what = f"Postgres {programs.version} did not start"
                raise failures.failed(what, said, self.home)

    def _run_watcher(
        self, programs: Programs, address: Endpoint, account: Account | None
    ) -> str | None:
        """Start a watcher and wait for its word: None when the server is ready, else the log."""
        ownership.write_once(self.home.log, "", account)
        with os.fdopen(trust.opened(self.home.log, os.O_WRONLY | os.O_APPEND), "ab") as log:
            before = log.seek(0, os.SEEK_END)
            with subprocess.Popen(  # noqa: S603 - our own script
                [_python(), "-I", "-S", watcher.__file__, str(self.home.root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C in our terminal is not meant for the server
            ) as process:
                order = json.dumps(asdict(self._order(programs, address, account)))
                try:
                    # The process ends at once; its grandchild answers, and then closes the pipe.
                    answer, _ = process.communicate(order.encode(), timeout=START_SECONDS_MAX)
                except subprocess.TimeoutExpired:
                    answer = b""
        if answer.decode().strip() == watcher.READY:
            return None
        with os.fdopen(trust.opened(self.home.log, os.O_RDONLY), "rb") as log:
            log.seek(before)
            return log.read().decode(errors="replace")

    def _order(
        self, programs: Programs, address: Endpoint, account: Account | None
    ) -> watcher.Order:
        command = [str(programs.postgres)]
        for name, value in endpoint.settings(self.home, address).items():
            command += ["-c", f"{name}={value}"]
        elsewhere = address.is_socket and address.host != str(self.home.data)
        return watcher.Order(
            command=command,
            data=str(self.home.data),
            log=str(self.home.log),
            start_lock=str(self.home.start_lock),
            users_lock=str(self.home.users_lock),
            watcher_lock=str(self.home.watcher_lock),
            server_lock=str(self.home.server_lock),
            socket_directory=address.host if elsewhere else "",
            environment=cluster.ENVIRONMENT,
            uid=-1 if account is None else account.uid,
            gid=-1 if account is None else account.gid,
        )


def _current(home: Home) -> Embedded | None:
    """Return the server when it is well and we are its user already; cheap, changes nothing."""
    try:
        if not (locks.open_here(home.users_lock) and _is_well(home)):
            return None
        address = endpoint.recorded(home)
        if address is None:
            return None
        dsn = address.dsn("" if address.is_socket else endpoint.password(home))
    except OSError:
        return None  # the slow path meets it again, and says what is wrong
    return Embedded(dsn, home.root, address.version)


def _is_well(home: Home) -> bool:
    return (
        locks.is_held(home.watcher_lock)
        and locks.is_held(home.server_lock)
        and watcher.status(home.data) == watcher.READY
    )


def _rotate(home: Home) -> None:
    if home.log.exists() and home.log.lstat().st_size > LOG_BYTES_MAX:
        home.log.replace(home.log.with_suffix(".log.1"))


def _python() -> str:
    """Return the interpreter; an application server that embeds Python is not one itself."""
    beside = Path(sys.exec_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    if sys.executable and "py" in Path(sys.executable).name:
        return sys.executable
    found = str(beside) if beside.exists() else shutil.which("python3")
    if found is None:
        raise LauncherError(
            f"No Python interpreter was found to watch over the embedded Postgres (this process "
            f"is {sys.executable!r}). Put `python3` on the PATH, or {ANOTHER}."
        )
    return found


def _silent(_sentence: str) -> None:
    """Tell nobody."""
