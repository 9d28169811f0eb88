"""The table of SQLSTATEs: who waits out what, what is looked up, what drops its connection."""

from __future__ import annotations

import asyncpg
import pytest

from durable.errors import DatabaseError
from durable.postgres import sqlstate
from durable.postgres.errors import (
    AccessRefused,
    Conflict,
    ConnectionLost,
    DeadlinePassed,
    StatementFault,
    StatementTimeout,
    error_class,
    retryable,
    translated,
)
from durable.postgres.sqlstate import Verdict, classify

HOSTS_AND_CALLERS = [
    *[(code, True, True) for code in ("08006", "08P01", "57P01", "57P03", "57P05", "XX000")],
    *[(code, True, True) for code in ("40001", "40P01", "53100", "55P03", "57014", "58030")],
    *[(code, True, True) for code in ("25P02", "25P03", "25P04", "25006", "26000", "53300")],
    *[(code, True, False) for code in ("28000", "28P01", "42501", "3D000")],
    *[(code, False, False) for code in ("22003", "22P05", "23505", "21000", "54000")],
    *[(code, False, False) for code in ("54001", "P0001")],
    *[(code, False, False) for code in ("42P01", "42601", "0A000", "25001", "")],
]


@pytest.mark.parametrize(("code", "host", "caller"), HOSTS_AND_CALLERS)
def test_who_sends_again(code: str, *, host: bool, caller: bool):
    """Hosts wait out all that passes, callers all but what only an operator can change."""
    kind = asyncpg.PostgresError.get_message_class_for_sqlstate(code) if code else None
    error = translated((kind or asyncpg.PostgresError)("x"))
    assert (retryable(error, host=True), retryable(error, host=False)) == (host, caller)


def test_the_statements_own_fault_is_told_from_a_bug():
    """What a batch is bisected for is one class, what is reported as a bug another."""
    own = ("22021", "23514", "21000", "54000", "54001", "P0001")
    assert all(classify(c).host is Verdict.ISOLATE for c in own)
    assert all(classify(c).host is Verdict.REPORT for c in ("42883", "0A000", "3F000", "F0000"))


@pytest.mark.parametrize("code", ["XX000", "57P05", "57P01", "25P04", "40003", "08007"])
def test_what_may_have_been_committed_is_lost(code: str):
    """After such an answer a commit is looked up, on another connection."""
    assert classify(code).unknown
    assert classify(code).drop


@pytest.mark.parametrize("code", ["53200", "22003", "58030", "42P01"])
def test_an_error_that_ends_the_session_is_lost(code: str):
    """A code that says that nothing happened says so only if the session lives on."""
    assert not classify(code).unknown
    assert classify(code, fatal=True).unknown


def test_a_refused_login_is_not_taken_for_a_lost_commit():
    """FATAL is how every login is refused: nothing was sent by then."""
    assert classify("28P01", fatal=True) is sqlstate.REFUSED
    assert classify("3D000", fatal=True) is sqlstate.REFUSED


def test_errors_of_the_driver():
    """What the socket says is a loss; a parameter that cannot be encoded is its statement's."""
    assert isinstance(translated(asyncpg.DataError("value out of int64 range")), StatementFault)
    for error in (OSError("reset"), TimeoutError(), asyncpg.InterfaceError("closed")):
        assert isinstance(translated(error), ConnectionLost)
    assert isinstance(translated(asyncpg.InvalidCachedStatementError("x")), ConnectionLost)
    assert isinstance(translated(asyncpg.InternalClientError("protocol")), ConnectionLost)


def test_our_own_errors_are_classed_like_what_they_came_from():
    """An error keeps its code and its class, deadlines those of what they are kinds of."""
    assert error_class(DeadlinePassed("x", deadline=1.0)) is sqlstate.LOST
    assert error_class(StatementTimeout("x")) is sqlstate.CONFLICT
    assert isinstance(translated(asyncpg.QueryCanceledError("x")), StatementTimeout)
    refused = translated(asyncpg.InsufficientPrivilegeError("x"))
    assert isinstance(refused, AccessRefused)
    assert refused.sqlstate == "42501"
    assert type(translated(asyncpg.UndefinedTableError("x"))) is DatabaseError
    assert isinstance(translated(asyncpg.DeadlockDetectedError("x")), Conflict)
