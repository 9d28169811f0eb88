"""Logs and spans, by the OpenTelemetry API package only."""
