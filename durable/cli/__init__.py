"""The `durable` command: argv to client and worker; prints."""
