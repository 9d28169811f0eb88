"""Logs and spans, by the OpenTelemetry API package only.

- `logs`: the library's logger, `durable`, configured by whoever runs the process.
- `terminal`: text of others on a terminal: what would move, colour or reverse it is shown, not
  done.
"""
