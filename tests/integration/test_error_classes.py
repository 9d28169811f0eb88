"""Errors of a real Postgres: what they are taken for, and what becomes of their connection."""

from __future__ import annotations

import asyncio

import pytest

from durable.errors import DatabaseError
from durable.postgres.database import Database, Lane
from durable.postgres.errors import AccessRefused, Conflict, ConnectionLost, StatementFault

STATEMENTS = [
    ("select 1 / 0", StatementFault),
    ("select jsonb_build_object('a', repeat('x', 300000000))", StatementFault),
    ("select repeat('[', 1000000)::json", StatementFault),  # the stack's depth, 54001
    ("select * from durable_missing", DatabaseError),
    ("do $$ begin raise exception using errcode = 'XX000'; end $$", ConnectionLost),
    ("do $$ begin raise exception using errcode = '57P05'; end $$", ConnectionLost),
    ("do $$ begin raise exception using errcode = '26000'; end $$", ConnectionLost),
    ("do $$ begin raise exception using errcode = '40001'; end $$", Conflict),
    ("do $$ begin raise exception using errcode = '42501'; end $$", AccessRefused),
    ("select pg_terminate_backend(pg_backend_pid())", ConnectionLost),
]


@pytest.mark.parametrize(("statement", "kind"), STATEMENTS)
async def test_what_a_statement_of_a_lane_ends_with(
    database: Database, statement: str, kind: type[DatabaseError]
):
    """Each error is of its class, and the connection is closed exactly where it is of no use."""
    lane = Lane(database.address)
    (before,) = await lane.fetch("select pg_backend_pid() as pid")
    with pytest.raises(DatabaseError) as caught:
        await lane.fetch(statement)
    assert type(caught.value) is kind
    (after,) = await lane.fetch("select pg_backend_pid() as pid")
    assert (before["pid"] != after["pid"]) == (kind is ConnectionLost)
    await lane.close()


async def test_a_statement_that_the_session_has_forgotten(database: Database):
    """`deallocate all`, as a pooler does it, costs one connection and no more."""
    lane = Lane(database.address)
    await lane.fetch("select $1::int", 1)
    await lane.fetch("deallocate all")
    with pytest.raises(ConnectionLost):
        await lane.fetch("select $1::int", 1)
    assert (await lane.fetch("select $1::int", 1))[0][0] == 1
    await lane.close()


async def test_a_table_that_changes_under_a_transaction(database: Database):
    """A plan whose result type changed drops its connection, and the next try is well."""
    schema = database.schema
    await database.fetch(f'create table "{schema}".changing (a int)')

    async def read_change_read() -> None:
        async with database.connection() as connection, connection.transaction():
            await connection.fetch(f'select * from "{schema}".changing')
            # In the same transaction, so that the driver cannot prepare it anew behind our back.
            await connection.execute(f'alter table "{schema}".changing add b int')
            await connection.fetch(f'select * from "{schema}".changing')

    with pytest.raises(ConnectionLost, match="cached"):
        await read_change_read()
    assert await database.fetch("select 1") is not None


async def test_a_parameter_that_cannot_be_encoded(database: Database):
    """A number beyond bigint is refused at once, and not sent again and again."""
    with pytest.raises(StatementFault):
        await asyncio.wait_for(database.fetch("select $1::bigint", 2**70), 60)


async def test_a_server_that_takes_no_writes_is_called_so(database: Database):
    """Nothing broke: what is said names what an operator can change."""
    lane = Lane(database.address)
    await lane.fetch("select set_config('default_transaction_read_only', 'on', false)")
    with pytest.raises(ConnectionLost, match=r"takes no writes here: .*default_transaction_read"):
        await lane.fetch(f'create table "{database.schema}".never (a int)')
    await lane.close()
