where e.app_id = :app_id
  and (:roles::text[] is null or e.role = any(:roles)) and (:types::text[] is null or e.type = any(:types))
  and (:subtypes::text[] is null or e.subtype = any(:subtypes)) and (:entities::text[] is null or e.entity = any(:entities))
  and (:statuses::text[] is null or e.status = any(:statuses)) and (:assignees::text[] is null or e.assigned_to = any(:assignees))
  and (:jids::text[] is null or e.jid = any(:jids)) and (:topics::text[] is null or e.topic = any(:topics))
  and (:origins::text[] is null or e.origin_id = any(:origins)) and (:priorities::integer[] is null or e.priority = any(:priorities))
  and (:metadata::jsonb is null or e.metadata @> :metadata)
  and (:available::boolean is null or :available = (e.status = 'pending' and (e.assigned_to is null or e.assigned_until <= durable.now())))
