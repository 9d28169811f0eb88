"""The `durable` command: argv to client and worker, and back to people and scripts.

    program         the commands, put together; `run`
    command         what all commands share: options, connection, errors as one message, JSON
    output          where answers, notes and errors go
    tables          tables within the width of a terminal, or in full
    runs            start, result, list, show, signal, cancel, terminate, resume
    run_reports     runs, as texts and tables
    documents       yaml, graph, migrate
    deployments     deploy: the descriptor of a live task queue, changed, shown, reset
    retention       prune: deletes what ended long ago
    workers         worker: serves the definitions of a module
    user_modules    modules and files of users, and the definitions in them
    event_loops     the event loop that a command runs on: asyncio's own, or uvloop's
    shutdown        how the process of `durable worker` ends: gracefully, or at once
    supervisor      `durable worker --processes N`: several workers, restarted when they die
    child_workers   workers in processes of their own, for `dev` and the supervisor
    development     dev: an embedded Postgres, and a worker that restarts when files change
    file_changes    Python files that change

With `durable.composition` this is the only package that reads the environment.
"""
