"""Random ids and tokens: the one place that rolls dice for them.

Ids begin with the time, so that new ones stand side by side in an index, however many old ones it
has: at random places each would bring a page of its own into memory and into the log.
"""

from __future__ import annotations

import secrets
import time
import uuid


def _dated() -> bytes:
    """16 bytes: 6 of milliseconds since 1970, 10 of dice."""
    return (time.time_ns() // 1_000_000).to_bytes(6, "big") + secrets.token_bytes(10)


def new_id() -> str:
    """A fresh id for a run whose caller named none: 32 hexadecimal digits."""
    return _dated().hex()


def new_request() -> uuid.UUID:
    """A fresh request id, a UUID of version 7: a start that meets its own has already happened."""
    raw = bytearray(_dated())
    raw[6], raw[8] = 0x70 | raw[6] & 0x0F, 0x80 | raw[8] & 0x3F  # version and variant
    return uuid.UUID(bytes=bytes(raw))


def request_named(name: str, *where: str) -> uuid.UUID:
    """The request id for a name that a caller has chosen; `where` keeps other uses of it apart.

    Example:
        >>> request_named("a", "pub") == request_named("a", "pub")
        True
    """
    return uuid.uuid5(uuid.NAMESPACE_OID, "\0".join((*where, name)))


def step_request(run_id: int, number: int) -> uuid.UUID:
    """The request id of what a step of a run starts elsewhere: the same whoever works it out.

    Example:
        >>> step_request(258, 7)
        UUID('00000000-0000-0102-0000-000000000007')
    """
    return uuid.UUID(int=(run_id << 64) | number)


def new_token() -> int:
    """A fresh 63-bit commit token."""
    return secrets.randbits(63)


def new_seed() -> bytes:
    """A fresh seed of a run's random numbers: 128 random bits."""
    return secrets.token_bytes(16)
