"""The one room that knows asyncpg.

Pool, transactions, LISTEN, migrations, the loader of SQL files, and the embedded server.
"""
