insert into durable.engine_streams (
    stream_name, workflow_name, jid, run_id, aid, dad, msg_type, topic, message, priority, created_at, visible_at)
select :app_id, m.workflow_name, m.jid, m.run_id, m.aid, m.dad, 'response', m.topic, :message::json, :priority, durable.now(), durable.now()
from mine m
returning id
