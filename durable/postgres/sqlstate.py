"""What an error of Postgres means, by its SQLSTATE: one table, with a column for each who may ask.

A *host* (worker, member, committer, graph engine) runs for months: what passes, it waits out. A
*caller* (`client.start`, `list`, …) has somebody waiting for the answer: what only an operator can
change, it gets at once. Hosts wait out a refused login, too, but not before their first success:
until then it is a wrong setting, and whoever starts the host should see it.

A class is found by the longest prefix of the code that the table has.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What is to be done about an error."""

    RETRY = "retry"  # with backoff, for as long as the asker has
    ISOLATE = "isolate"  # bisect the batch; the run that the statement was for is suspended alone
    REPORT = "report"  # a bug, or an operator's business: loud, and what was held is released
    RAISE = "raise"  # at once, to who called


@dataclass(frozen=True, slots=True)
class ErrorClass:
    """A kind of error.

    Attributes:
        name: for people.
        host: what a host does.
        caller: what a caller does.
        unknown: whether the statement may have been committed all the same: look it up.
        drop: whether the connection is of no more use.
    """

    name: str
    host: Verdict
    caller: Verdict
    unknown: bool = False
    drop: bool = False


LOST = ErrorClass("connection lost", Verdict.RETRY, Verdict.RETRY, unknown=True, drop=True)
CONFLICT = ErrorClass("conflict", Verdict.RETRY, Verdict.RETRY)
REFUSED = ErrorClass("access refused", Verdict.RETRY, Verdict.RAISE)
FAULT = ErrorClass("the statement's own fault", Verdict.ISOLATE, Verdict.RAISE)
BUG = ErrorClass("a bug", Verdict.REPORT, Verdict.RAISE)

READ_ONLY = "25006"
CACHED_PLAN = "0A000 cached plan"  # what other statements are told by 0A000 is no passing thing

_TABLE = {
    # The connection is gone, or of no more use; whether a commit happened is not known.
    "08": LOST,  # connection exception; a pooler's protocol violation
    "57P": LOST,  # shutdown, crash, cannot connect now, database dropped, idle session timeout
    "XX": LOST,  # internal error, corruption; what poolers say of anything
    "25P": LOST,  # a transaction that another one's statement left behind; its timeouts
    READ_ONLY: LOST,  # read-only: what was the primary is one no more, the next connection finds it
    "26": LOST,  # a prepared statement that this session does not know: a pooler gave us another
    CACHED_PLAN: LOST,  # the result type of a prepared statement changed under us
    "40003": LOST,  # statement completion unknown
    "53300": LOST,  # too many connections, said at login
    # Nothing happened, and another try may go through.
    "40": CONFLICT,  # serialization failure, deadlock
    "53": CONFLICT,  # disk full, out of memory
    "55": CONFLICT,  # lock not available, object in use
    "57": CONFLICT,  # query canceled: by an operator, or by its timeout
    "58": CONFLICT,  # an I/O error of the server
    # Nothing happened, and somebody has to allow it first.
    "28": REFUSED,  # login refused
    "42501": REFUSED,  # a right that is missing, or was revoked
    "3D000": REFUSED,  # no such database
    # Another statement may go through.
    "21": FAULT,  # cardinality
    "22": FAULT,  # data: out of range, a NUL, no JSON
    "23": FAULT,  # a constraint
    "54": FAULT,  # too large, too deep, too complex
    "P0": FAULT,  # raised by a trigger of somebody's: no function of ours raises
}

QUERY_CANCELED = "57014"


def classify(sqlstate: str, *, fatal: bool = False) -> ErrorClass:
    """The class of an error with this code.

    `fatal` says that the server ended the session by it: then its outcome is unknown even if the
    code alone would say that nothing happened, unless the session was refused before it began.
    """
    for length in (len(sqlstate), 5, 3, 2):
        found = _TABLE.get(sqlstate[:length])
        if found is not None:
            break
    else:
        found = BUG
    return LOST if fatal and found is not REFUSED else found
