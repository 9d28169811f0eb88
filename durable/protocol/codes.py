"""HotMesh's reply codes and the semaphore's special values."""

from __future__ import annotations

OK = 200  # the activity is done
PENDING = 202  # an answer that keeps the second leg open
UNREADABLE = 400  # data that are no arguments of a function
NOT_FOUND = 404
INTERRUPTED = 410
CONFLICT = 409
UNPROCESSABLE = 422  # data that a schema refuses
CANCELLED = 499  # a function whose cancellation was asked for
FAILED = 500  # a worker raised something without a code of its own
TIMEOUT = 504

INTERRUPTED_BY = 1_000_000_000  # what an interruption subtracts from the semaphore
