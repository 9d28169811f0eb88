"""The one room that knows asyncpg: pool, transactions, LISTEN, migrations, SQL files, embedded server."""
