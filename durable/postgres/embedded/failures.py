"""From what Postgres wrote to what the reader should do about it."""

from __future__ import annotations

import errno
import re
import shutil

from durable.postgres.embedded.errors import ANOTHER, PG_BIN, LauncherError
from durable.postgres.embedded.home import Home

OR_ANOTHER = f"or {ANOTHER}"
TAIL_LINES = 6
FREE_BYTES_MIN = 1_000_000  # a start writes little, but it writes

NAMELESS = (
    "The user you run as has no name in /etc/passwd, which initdb insists on: run as a user with "
    "a name (in a container: add one with `useradd`, or run as root)."
)
MEMORY = (
    "The system grants too little shared memory: end other Postgres servers, raise kernel.shmmni "
    "and kernel.shmall, or lower shared_buffers in data/postgresql.conf."
)
MISFIT = f"The programs do not fit this system: set {PG_BIN} to another Postgres."
OTHER_MAKER = f"The data was made by another Postgres: set {PG_BIN} to that one."
DAMAGED = "The data is damaged: restore it from a backup, or move it away to begin anew."
SETTINGS = "Mend data/postgresql.conf at the place that the message names."
CLOSED = "A file is closed to the user that Postgres runs as: fix its owner and mode."
MODELESS = (
    "The file system there keeps no owners and modes, which Postgres needs: run in a directory on "
    "another one."
)
SOCKETLESS = "The file system there takes no unix sockets: run in a directory on another one."
FULL = "The disk is full: free some space there."
READ_ONLY = "The file system is read-only: run in a directory that you may write to."

ADVICE = (  # what Postgres writes, in English since LC_ALL is C; the first that is found counts
    (r"No space left on device|Disk quota exceeded", FULL),
    (r"Read-only file system", READ_ONLY),
    (r"could not look up effective user ID|user does not exist|unshare: ", NAMELESS),
    (r"could not (?:create|map) (?:anonymous )?shared memory|shmget", MEMORY),
    (r"error while loading shared libraries|Library not loaded|GLIBC_", MISFIT),
    (r"has (?:invalid permissions|group or world access|wrong ownership)", MODELESS),
    (r"could not (?:bind|create) Unix", SOCKETLESS),
    (r"database files are incompatible", OTHER_MAKER),
    (r"invalid (?:primary )?checkpoint|locate a valid checkpoint|PANIC", DAMAGED),
    (r"unrecognized configuration parameter|configuration file .* contains errors", SETTINGS),
    (r"Permission denied|Operation not permitted", CLOSED),
)
TELLING = re.compile(
    r"FATAL|PANIC|ERROR|HINT|DETAIL|[Ee]rror:|unshare:|watcher:|unrecognized|invalid value|in file"
)


def failed(what: str, output: str, home: Home) -> LauncherError:
    """Return the error for a Postgres program that failed, from what it wrote.

    Args:
        what: A clause such as "Postgres 18 did not start".
        output: All that the program wrote; the last lines are quoted.
        home: Names the log, and the disk that may be full.
    """
    lines = [line for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if TELLING.search(line)]
    quoted = "\n  ".join((telling or lines)[-TAIL_LINES:]) or "it wrote nothing"
    advice = [then for pattern, then in ADVICE if re.search(pattern, output)]
    if _is_full(home):  # Postgres may have had no room for saying so
        advice.insert(0, FULL)
    hint = advice[0] if advice else f"The whole story is in {home.log}."
    return LauncherError(
        f"{what} in {home.root}. It said:\n  {quoted}\n{hint} Then try again, {OR_ANOTHER}."
    )


def refused(error: OSError, home: Home) -> LauncherError:
    """Return the error for a file that the system would not let us create, read or lock."""
    reason = error.strerror or str(error)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        advice = FULL
    elif error.errno == errno.EROFS:
        advice = READ_ONLY
    elif error.errno in {errno.EACCES, errno.EPERM}:
        advice = "Run in a directory that you may write to, or as the user whose it is."
    else:
        advice = "Mend that."
    return LauncherError(
        f"The embedded Postgres keeps its data in {home.root}, but {error.filename or 'it'} "
        f"cannot be used: {reason}. {advice} Then try again, {OR_ANOTHER}."
    )


def _is_full(home: Home) -> bool:
    try:
        return shutil.disk_usage(home.root).free < FREE_BYTES_MIN
    except FileNotFoundError:
        return False
