-- What each attempt of a step has of the one before, its contents apart.
stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, priority, created_at, max_retry_attempts,
backoff_coefficient, maximum_interval_seconds, initial_interval_seconds
