"""Names of notification channels. Postgres allows 63 bytes; longer names are shortened by their hash."""

from __future__ import annotations

import hashlib


def _fit(name: str) -> str:
    if len(name.encode()) <= 60:
        return name
    return f"{name.encode()[:35].decode(errors='ignore')}#{hashlib.sha256(name.encode()).hexdigest()[:20]}"


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
