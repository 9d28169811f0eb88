"""Names of notification channels: Postgres allows 63 bytes, so long ones end in their hash."""

from __future__ import annotations

import hashlib

NAME_BYTES_MAX = 60  # Postgres cuts at 63 without a word


def _fit(name: str) -> str:
    if len(name.encode()) <= NAME_BYTES_MAX:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{name.encode()[:35].decode(errors='ignore')}#{digest[:20]}"


def queue(namespace: str, stream: str) -> str:
    """Where the workers of a task queue hear that it holds something."""
    return _fit(f"{namespace}:q:{stream}")


def engine(namespace: str, app: str) -> str:
    """Where the engines of an app hear that its stream holds something."""
    return _fit(f"{namespace}:e:{app}")


def member(namespace: str, member_id: int) -> str:
    """Where one member hears that a run it holds has something in its inbox."""
    return _fit(f"{namespace}:m:{member_id}")


def waiter(namespace: str, client_id: str) -> str:
    """Where one client hears that a run it waits for has ended."""
    return _fit(f"{namespace}:c:{client_id}")
