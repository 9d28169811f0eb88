"""A process that takes turns and runs activities."""
