"""What people write: `@workflow`, `@activity`, `Signal` and the calls they make."""
