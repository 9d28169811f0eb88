"""Names of notification channels: Postgres allows 63 bytes, so long ones end in their hash."""

from __future__ import annotations

import hashlib
from typing import NewType

Channel = NewType("Channel", str)
"""The name of a channel; `reply_to` of a job holds such names."""

NAME_BYTES_MAX = 60  # Postgres cuts at 63 without a warning


def _fit(name: str) -> Channel:
    if len(name.encode()) <= NAME_BYTES_MAX:
        return Channel(name)
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Channel(f"{name.encode()[:35].decode(errors='ignore')}#{digest[:20]}")


def queue(namespace: str, stream: str) -> Channel:
    """Notifies the workers of a task queue that it holds something."""
    return _fit(f"{namespace}:q:{stream}")


def engine(namespace: str, app: str) -> Channel:
    """Notifies the engines of an app that its stream holds something."""
    return _fit(f"{namespace}:e:{app}")


def member(namespace: str, member_id: int) -> Channel:
    """Notifies one member that a run it holds has something in its inbox."""
    return _fit(f"{namespace}:m:{member_id}")


def waiter(namespace: str, client_id: str) -> Channel:
    """Notifies one client that a run it waits for has ended."""
    return _fit(f"{namespace}:c:{client_id}")


def topic(namespace: str, app: str, name: str) -> Channel:
    """Notifies subscribers that a job of a topic has ended, or emitted."""
    return waiter(namespace, f"t:{app}:{name}")


def quorum(namespace: str, app: str) -> Channel:
    """Notifies all members of an app of a message."""
    return waiter(namespace, f"q:{app}")


def quorum_member(namespace: str, app: str, guid: str) -> Channel:
    """Notifies one member of an app of answers."""
    return waiter(namespace, f"q:{app}:{guid}")
