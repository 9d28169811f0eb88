"""What any host (a worker, a graph engine, a client) needs, once for functions and graphs.

- `clocks`: the time of the host and of the database, unmoved by steps of the wall clock.
- `supervision`: background tasks that are restarted when they fail, and whose end is reported.
- `batching`: what many callers send to Postgres at one moment goes as one statement.
- `end_waiters`: waiting for the ends of runs and jobs.
- `reconciler`: reservations in the tables against those that their holder knows.
- `liveness`: a member whose connections complete nothing is not alive, though it beats.
- `notifications`: the kinds of notifications, and their payloads.
- `channels`: names of notification channels, within the 63 bytes that Postgres allows.
- `notifier`: sends the notifications of one moment as one statement.
- `watchdog`: finds code that does not yield, names it, and acts after a limit.
- `threads`: daemon threads for user code that blocks, so that the process can end.
- `user_code`: whatever user code raises becomes data, and stays out of the event loop.
- `interrupts`: distinguishes Ctrl-C from a `KeyboardInterrupt` that code raised.
"""
