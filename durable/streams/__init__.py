"""The queue: claim, complete, retry, give back, take over; one method per block of `sql/`."""
