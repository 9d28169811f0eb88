"""What any host needs, written once: which event loop it belongs to (`loops`)."""
