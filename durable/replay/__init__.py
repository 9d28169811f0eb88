"""The deterministic loop: a workflow function folded over its history."""
