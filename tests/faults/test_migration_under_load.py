"""A schema that is full and in use is migrated from the first migration to the newest."""

from __future__ import annotations

from tests.faults.migration_under_load import measure


async def test_nobody_waits_for_a_migration_and_nobody_is_lost(dsn: str, unmigrated: str) -> None:
    """Beside a fleet of the first release: no statement waits for 3 s, no member is reaped."""
    found = await measure(dsn, unmigrated, waiting=2000, finished=20_000, workers=1)
    assert found.longest_wait < 3
    assert len(found.members) == 1
    assert found.members_after == found.members
    assert found.load["wrong"] == 0
    assert found.load["ended"] > 0
