"""The data directory: made once, by `initdb`, and found to fit at every later start."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from durable.postgres.embedded import failures, ownership, trust, watcher
from durable.postgres.embedded.binaries import Programs
from durable.postgres.embedded.errors import LauncherError
from durable.postgres.embedded.home import Home
from durable.postgres.embedded.ownership import Account

SUPERUSER = "postgres"
DATABASE = "postgres"  # initdb makes it: no statement is needed before the first connection
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}  # PGPORT and its kin stay outside
UNFINISHED = "data.new-"
INITDB_SECONDS_MAX = 300

SETTINGS = """
# Written when the launcher made this directory; yours to change.
max_connections = 200
shared_buffers = 128MB
fsync = on
synchronous_commit = on
log_line_prefix = '%m [%p] '
"""


def major_of(home: Home) -> int | None:
    """Return the major version of the Postgres that made the data, None when there is no data.

    Raises:
        LauncherError: something else lies where the data should be.
    """
    try:
        text = trust.read(home.data / "PG_VERSION")
    except FileNotFoundError:
        if home.data.exists() and any(home.data.iterdir()):
            raise LauncherError(
                f"{home.data} is not empty and no data directory of Postgres (PG_VERSION is "
                f"missing). Move it away, or restore it from a backup."
            ) from None
        return None
    if not text.strip().isdigit():
        raise LauncherError(
            f"{home.data}/PG_VERSION does not hold a version ({text.strip()!r}). The data is "
            f"damaged, or of a Postgres before 10: restore it from a backup, or move it away."
        )
    return int(text)


def create(home: Home, programs: Programs, account: Account | None) -> None:
    """Make the data directory, all of it or nothing: it appears under its name when it is whole.

    Args:
        home: Its `data` does not exist, or is an empty directory.
        programs: What will run it, reachable for `account`.
        account: Whose it will be; None when it is ours.

    Raises:
        LauncherError: `initdb` failed; the message says why and what to do.
    """
    _sweep(home)
    maker = ownership.named_account() if account is not None else None
    fresh = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=home.root))
    try:
        home.password.unlink(missing_ok=True)
        ownership.write_once(home.password, secrets.token_urlsafe(24) + "\n", maker)
        if maker is not None:
            maker.own(fresh)
        _initdb(home, programs, fresh, maker)
        with (fresh / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(SETTINGS)
            file.flush()
            os.fsync(file.fileno())
        if account is not None:
            account.own_tree(fresh)
            account.own(home.password)
        fresh.rename(home.data)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def adopt(home: Home, account: Account | None, report: Callable[[str], None]) -> None:
    """Give root's copy of a data directory (from `cp` or a container image) to the account."""
    if account is not None and home.data.stat().st_uid != account.uid:
        report(f"Giving {home.data} to uid {account.uid}, since Postgres does not run as root…")
        account.own_tree(home.data)
        if home.password.exists():
            account.own(home.password)


def _initdb(home: Home, programs: Programs, fresh: Path, maker: Account | None) -> None:
    secret = trust.opened(home.password, os.O_RDONLY)
    with os.fdopen(secret, "rb") as password, watcher.door(fresh) as (descriptor, name):
        command = [
            *_named(),
            str(programs.initdb),
            f"--pgdata={fresh if maker is None else name}",
            f"--username={SUPERUSER}",
            f"--pwfile=/dev/fd/{password.fileno()}",
            "--auth-local=trust",  # the socket lies in a directory that is closed to others
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--data-checksums",
            "--no-instructions",
        ]
        try:
            made = subprocess.run(  # noqa: S603 - a Postgres program, chosen by binaries.choose
                command,
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=INITDB_SECONDS_MAX,
                check=False,
                pass_fds=[password.fileno(), descriptor],
                **ownership.identity(maker),
            )
        except subprocess.TimeoutExpired:
            raise LauncherError(
                f"initdb did not make {home.data} within {INITDB_SECONDS_MAX} s. Is the file "
                f"system of {home.root} working? Try another directory, {failures.OR_ANOTHER}."
            ) from None
    if made.returncode != 0:
        what = f"Postgres {programs.major} could not make a data directory"
        raise failures.failed(what, made.stdout, home)


def _named() -> list[str]:
    """Return a command that lends us a name: `initdb` asks for one, a container often has none.

    In a user namespace of its own our uid looks like that of a user with a name; the files that
    are made there are ours outside.
    """
    if ownership.own_name_is_known() or shutil.which("unshare") is None:
        return []
    named = next((entry for entry in pwd.getpwall() if entry.pw_uid != 0), None)
    if named is None:
        return []
    return ["unshare", f"--map-user={named.pw_uid}", f"--map-group={named.pw_gid}", "--"]


def _sweep(home: Home) -> None:
    """Remove what an interrupted `create` left; nobody else makes one while we hold the lock."""
    for path in home.root.glob(f"{UNFINISHED}*"):
        shutil.rmtree(path, ignore_errors=True)
    with suppress(FileNotFoundError):
        home.data.rmdir()
