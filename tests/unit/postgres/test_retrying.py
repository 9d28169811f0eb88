"""What may happen twice is sent again, as often and for as long as its caller waits."""

from __future__ import annotations

import pytest

from durable.errors import DatabaseError
from durable.postgres.errors import ConnectionLost
from durable.postgres.retries import retry_until_connected


class Server:
    """Fails so many times by `error`, then answers."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.calls = 0
        self._failures = failures
        self._error = error

    async def ask(self) -> int:
        """The answer is how often it was asked."""
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return self.calls


@pytest.mark.parametrize("failures", [0, 1, 3])
async def test_it_is_asked_until_it_answers(failures: int) -> None:
    """One call more than there were failures, and its answer."""
    server = Server(failures, ConnectionLost("away"))
    assert await retry_until_connected(server.ask, limit=30) == failures + 1
    assert server.calls == failures + 1


async def test_no_other_attempt_is_made_when_time_is_up() -> None:
    """The last error is raised once the limit has passed, which a first failure may do, too."""
    server = Server(1_000, ConnectionLost("away"))
    with pytest.raises(ConnectionLost, match="away"):
        await retry_until_connected(server.ask, limit=0)
    assert server.calls == 1
    with pytest.raises(ConnectionLost, match="away"):
        await retry_until_connected(server.ask, limit=0.1)
    assert 2 < server.calls < 10


async def test_what_waiting_does_not_change_is_raised_at_once() -> None:
    """A refused statement is not sent again, nor is a bug of ours."""
    for error in (DatabaseError("refused"), ValueError("a bug")):
        server = Server(1, error)
        with pytest.raises(type(error)):
            await retry_until_connected(server.ask)
        assert server.calls == 1
