"""Durable functions: plain async code that survives crashes, restarts and month-long waits.

    cli | dashboard | testing | sync     doors
    hotmesh                              the engine's public face
    app                                  the composition root, and `connect()`
    client | worker | quorum             hosts: what runs in a process
    decorators | compiler | engine       functions to graph | graph to facts
    replay | streams | store             the deterministic loop | the queue | jobs and histories
    definitions | descriptor | postgres  what both sides share | the one room that knows the driver
    expressions | codec                  paths and pipes | values to JSON and back
    protocol                             messages, codes, commands, facts, retry policy, ids
    telemetry                            logs and spans
    errors                               the tree of everything that is raised

Imports go down only. Everything for users is re-exported here, and nowhere else.
"""
