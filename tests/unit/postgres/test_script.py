"""Scripts are split where Postgres would end a statement."""

from __future__ import annotations

import re

import pytest

from durable.postgres.migration_script import steps
from durable.postgres.migrator import FIRST_RELEASE, Migration, migrations

QUOTED = """select ';', e'\\';', "a;b", ''';'"""
BODY = "create function f() begin atomic select case when a then b end; select 2; end"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("select 1; select 2", ["select 1", "select 2"]),
        ("-- one; two\nselect 1; -- three;\n/* ; */ ;", ["select 1"]),
        (f"{QUOTED}; select 2", [QUOTED, "select 2"]),
        ("do $x$ begin; end $x$; select $$;$$", ["do $x$ begin; end $x$", "select $$;$$"]),
        (f"{BODY}; select 3", [BODY, "select 3"]),
        ("begin; case; end", ["begin", "case", "end"]),
    ],
)
def test_a_script_is_split_at_the_ends_of_its_statements(text: str, found: list[str]) -> None:
    """Semicolons in comments, strings, names and bodies end nothing."""
    assert [step.text for step in steps(text)] == found


@pytest.mark.parametrize(
    ("text", "concurrent"),
    [
        ("create index a on b (c)", "create index concurrently a on b (c)"),
        ("CREATE UNIQUE INDEX a ON b (c)", "create unique index concurrently a ON b (c)"),
        ("create index if not exists a on b (c)", "create index concurrently a on b (c)"),
        ("create index concurrently a on b (c)", "create index concurrently a on b (c)"),
        ('drop index "s".a', 'drop index concurrently if exists "s".a'),
    ],
)
def test_indexes_are_made_and_dropped_concurrently(text: str, concurrent: str) -> None:
    """However the migration writes it, a table in use is not locked for it."""
    (step,) = steps(text)
    assert (step.concurrent, step.index) == (concurrent, "a")


def test_a_batched_statement_is_marked_above_it() -> None:
    """The mark holds for the statement that follows it, and for no other."""
    text = "-- batched\nselect max(a) from b; select 1;\n-- batched: again\n\nselect 2"
    assert [step.kind for step in steps(text)] == ["batched", "plain", "batched"]


TAKES_AWAY = re.compile(
    r"\b(drop (table|column|function|sequence|view|index|schema)|rename|truncate|set not null"
    r"|alter column|set schema)\b",
    re.IGNORECASE,
)
LATER = [m for m in migrations() if m.number > FIRST_RELEASE]


@pytest.mark.parametrize("migration", LATER, ids=lambda m: f"{m.number:04}_{m.name}")
def test_migrations_only_add(migration: Migration) -> None:
    """The previous release works beside the newer schema, and comes back to it in a rollback."""
    for step in steps(migration.text):
        assert not TAKES_AWAY.search(step.text), step.text
        if re.match("alter table", step.text, re.IGNORECASE):
            assert not re.search(r"not null(?!\s+default)", step.text, re.IGNORECASE), step.text
        if step.kind == "plain":
            assert not re.match(r"(update|delete)\b", step.text, re.IGNORECASE), step.text
