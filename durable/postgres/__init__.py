"""The one room that knows asyncpg.

Pool, LISTEN, migrations, the loader of SQL files, and the embedded server.

- `address`: where a database is: a DSN, or wherever a pool of the caller's connects to.
- `columns`: rows that one statement takes: a dataclass for each kind, a Postgres type for each
  field.
- `connections`: connections of our own: how they are set, how long they may be silent, how they
  are given up.
- `dsn`: data source names: what people have, as a URI for the driver, or without its password for
  them.
- `errors`: errors of the driver and the socket in our own words, by the table of SQLSTATEs.
- `listener`: one connection, any number of channels, a callback each.
- `migrator`: migrations: numbered `.sql` files, each applied once, under an advisory lock.
- `parameters`: named parameters of a statement: found in its text, numbered, and put in order for a
  call.
- `database`: the database as the other rooms see it: statements in, rows out, errors in our own
  words.
- `poolers`: poolers between us and Postgres, such as PgBouncer: does a connection have a session
  of its own?
- `pools`: pools: of connections of our own, or one that the application lends.
- `retries`: sending again what may safely happen twice, until Postgres can be reached.
- `sql`: loads `.sql` files: one named block per operation, prefixed by a comment that says why.
- `sqlstate`: what an error of Postgres means, by its SQLSTATE: one table, with a column for each
  who may ask.
- `migration_script`: a migration's text as the steps in which it is applied: one for each of its
  statements.
- `home_loop`: which event loop something belongs to, and the errors of using it from another one.
- `readiness`: connecting to a schema that is missing or behind: what needs its tables waits for
  who migrates.
"""
