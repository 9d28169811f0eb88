"""Random ids and tokens: the one place that rolls dice for them."""

from __future__ import annotations

import secrets
import uuid


def new_id() -> str:
    """A fresh id for a run whose caller named none: 32 hexadecimal digits."""
    return secrets.token_hex(16)


def new_request() -> uuid.UUID:
    """A fresh request id: a start that meets its own has already happened."""
    return uuid.UUID(bytes=secrets.token_bytes(16), version=4)


def new_token() -> int:
    """A fresh 63-bit commit token."""
    return secrets.randbits(63)
