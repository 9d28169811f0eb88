"""The `durable` command: argv to client and worker, and back to people and scripts.

    program     the commands, put together; `run`
    command     what all commands share: options, connection, errors as one message, JSON
    output      where answers, notes and errors go
    importing   modules and files of users, and the definitions in them
    runs        start, result, list, show, signal, cancel, terminate, resume
    showing     a run as text
    serving     worker: serve until told to stop
    developing  dev: an embedded Postgres, and a worker that is restarted when files change
    documents   yaml, graph, migrate

With `durable.app` this is the only room that reads the environment.
"""
