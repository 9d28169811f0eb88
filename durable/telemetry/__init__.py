"""Logs and spans, by the OpenTelemetry API package only.

- `logs`: the library's loggers, whose lines are harmless, configured by the application.
- `terminal`: text of others on a terminal: what would move, colour or reverse it is shown, not
  done.
"""
