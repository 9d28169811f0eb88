"""Logs and spans, by the OpenTelemetry API package only.

- `logs`: the library's logger, `durable`, configured by whoever runs the process.
"""
