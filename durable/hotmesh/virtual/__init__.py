"""Virtual functions: call, cache and schedule a callback by its topic, whichever process serves it.

A small face over the graph engine: one app, three graphs, and what a caller needs around them.

virtual.py     the class: connect, exec, flush, cron, interrupt
app.yaml       the app: graphs for calls, for calls under a key, and for schedules
schedules.py   when a schedule ticks; pure
callbacks.py   from a message to a callback with arguments, and back
context.py     what a callback can ask about its call
calls.py       calls under a key: one at a time, their results kept
"""
