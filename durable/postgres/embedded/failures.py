"""From what Postgres wrote to what the reader should do about it."""

from __future__ import annotations

import errno
import re

from durable.errors import EmbeddedPostgresError
from durable.postgres.embedded.home import Home

OR_ANOTHER = "or name a database with DURABLE_DATABASE_URL"
TAIL_LINES = 6

ADVICE = (
    (r"No space left on device|Disk quota exceeded", "The disk is full: free some space there."),
    (r"Read-only file system", "The file system is read-only: run in a directory you may write to."),
    (
        r"could not look up effective user ID|user does not exist",
        "The user you run as has no name in /etc/passwd, which Postgres' initdb insists on: run "
        "as a user with a name (in a container: `useradd`, or root).",
    ),
    (r"unshare: ", "The user you run as has no name in /etc/passwd: run as a user with a name."),
    (
        r"could not (?:create|map) (?:anonymous )?shared memory|SHMALL|shmget",
        "The system grants too little shared memory: end other Postgres servers, raise "
        "kernel.shmmni and kernel.shmall, or lower shared_buffers in data/postgresql.conf.",
    ),
    (
        r"error while loading shared libraries|Library not loaded|GLIBC_",
        "The programs do not fit this system: set DURABLE_PG_BIN to another Postgres.",
    ),
    (
        r"database files are incompatible",
        "The data directory was made by another Postgres: set DURABLE_PG_BIN to that one.",
    ),
    (
        r"invalid (?:primary )?checkpoint|could not locate a valid checkpoint|PANIC",
        "The data directory is damaged: restore it from a backup, or move it away to begin anew.",
    ),
    (
        r"unrecognized configuration parameter|configuration file .* contains errors",
        "Mend data/postgresql.conf, at the line that the message names.",
    ),
    (
        r"Permission denied|Operation not permitted",
        "A file or directory is closed to the user that Postgres runs as: see its owner and mode.",
    ),
)


def failed(what: str, output: str, home: Home) -> EmbeddedPostgresError:
    """Return the error for a Postgres program that failed, from what it wrote.

    Args:
        what: A clause such as "Postgres 18 did not start".
        output: All that the program wrote; the last lines are quoted.
        home: Names the log, and the disk that may be full.
    """
    lines = [line for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"FATAL|PANIC|ERROR|error:|rror |unshare:", line)]
    quoted = "\n  ".join((telling or lines)[-TAIL_LINES:]) or "it wrote nothing"
    advice = [then for pattern, then in ADVICE if re.search(pattern, output)]
    hint = advice[0] if advice else f"The whole story is in {home.log}."
    return EmbeddedPostgresError(
        f"{what} in {home.root}. It said:\n  {quoted}\n{hint} Then try again, {OR_ANOTHER}."
    )


def refused(error: OSError, home: Home) -> EmbeddedPostgresError:
    """Return the error for a file that the system would not let us create, read or lock."""
    reason = error.strerror or str(error)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        advice = "The disk is full: free some space there"
    elif error.errno == errno.EROFS:
        advice = "The file system is read-only: run in a directory that you may write to"
    elif error.errno in {errno.EACCES, errno.EPERM}:
        advice = "Run in a directory that you may write to, or as the user whose it is"
    else:
        advice = "Mend that"
    return EmbeddedPostgresError(
        f"The embedded Postgres keeps its data in {home.root}, but {error.filename or 'it'} "
        f"cannot be used: {reason}. {advice}, {OR_ANOTHER}."
    )
