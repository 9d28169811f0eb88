"""Errors of the driver and the socket in our own words, by the table of SQLSTATEs.

    DatabaseError               the rest of the table: a bug in the statement, or a missing table
    ├── ConnectionLost          the connection is gone; what was sent may or may not have happened
    │   └── DeadlinePassed      nothing came back in time, and the connection was closed
    ├── Conflict                nothing happened; the same again may go through
    │   └── StatementTimeout    the server gave up by its `statement_timeout`
    ├── AccessRefused           nothing happened; login, right or database is missing
    └── StatementFault          nothing happened; what the statement carries is at fault

`retryable` says who sends the same again after which.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from durable.errors import DatabaseError
from durable.postgres import sqlstate
from durable.postgres.sqlstate import ErrorClass, Verdict


class ConnectionLost(DatabaseError):
    """The connection broke, or is of no more use: what was sent may or may not have happened.

    A commit that ended so has to be looked up before anything that it was for is done again.
    """


class DeadlinePassed(ConnectionLost):
    """No answer came within the deadline, and the connection was closed.

    The server may be at it still: its own timeout ends it `deadline` seconds after it began, at
    the latest. A look-up before that has to wait for the rows' locks.
    """

    def __init__(self, message: str, *, deadline: float, sqlstate: str | None = None) -> None:
        super().__init__(message, sqlstate=sqlstate)
        self.deadline = deadline


class Conflict(DatabaseError):
    """Another transaction or a full disk stood in the way: nothing happened, try again."""


class StatementTimeout(Conflict):
    """The server ended a statement by its timeout, or an operator did: nothing happened."""


class AccessRefused(DatabaseError):
    """Login, right or database is missing: nothing happened; an operator may change that."""


class StatementFault(DatabaseError):
    """What the statement carries cannot be written: nothing happened, nor will it."""


_UNSENT = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
DRIVER = (*_UNSENT, asyncpg.PostgresError)  # all that asyncpg and its socket raise


def error_class(error: Exception) -> ErrorClass:
    """The class of an error of the driver, the socket, or ours."""
    if isinstance(error, DatabaseError):
        return _OURS[next(kind for kind in type(error).__mro__ if kind in _OURS)]
    if isinstance(error, asyncpg.PostgresError):  # also what the driver cannot encode: 22000
        code = error.sqlstate or ""
        if isinstance(error, asyncpg.InvalidCachedStatementError):
            code = sqlstate.CACHED_PLAN
        return sqlstate.classify(code, fatal=_severity(error) in ("FATAL", "PANIC"))
    return sqlstate.LOST


def translated(error: Exception) -> DatabaseError:
    """An error of asyncpg or the socket as one of ours; the original becomes its cause."""
    code = getattr(error, "sqlstate", None)
    found = error_class(error)
    if code == sqlstate.READ_ONLY:
        return ConnectionLost(
            f"Postgres takes no writes here: {error}: the server is a standby, or"
            " default_transaction_read_only is on for it, for the database or for the role",
            sqlstate=code,
        )
    if found is sqlstate.LOST:
        return ConnectionLost(
            f"the connection to Postgres broke: {error or type(error).__name__}", sqlstate=code
        )
    if found is sqlstate.CONFLICT:
        kind = StatementTimeout if code == sqlstate.QUERY_CANCELED else Conflict
        return kind(f"Postgres could not carry out a statement just now: {error}", sqlstate=code)
    if found is sqlstate.REFUSED:
        return AccessRefused(f"Postgres refused access: {error}", sqlstate=code)
    refused = StatementFault if found is sqlstate.FAULT else DatabaseError
    return refused(f"Postgres refused a statement: {error}", sqlstate=code)


@contextmanager
def translating() -> Iterator[None]:
    """Errors of asyncpg and the socket leave the block as ours."""
    try:
        yield
    except DRIVER as error:
        raise translated(error) from error


def retryable(error: BaseException, *, host: bool) -> bool:
    """Whether a host, or a caller, sends the same again after this error."""
    if not isinstance(error, DatabaseError):
        return False
    found = error_class(error)
    return (found.host if host else found.caller) is Verdict.RETRY


def timed_out(error: BaseException) -> bool:
    """Whether a statement took too long: the server's answer to it, or that none came."""
    return isinstance(error, DeadlinePassed | StatementTimeout)


def _severity(error: asyncpg.PostgresError) -> object:
    # In the server's language since 7.4, in English since 9.6; a pooler may leave the second out.
    return getattr(error, "severity_en", None) or getattr(error, "severity", None)


_OURS = {
    ConnectionLost: sqlstate.LOST,
    Conflict: sqlstate.CONFLICT,
    AccessRefused: sqlstate.REFUSED,
    StatementFault: sqlstate.FAULT,
    DatabaseError: sqlstate.BUG,
}
