-- agent_stop: the lease ends. args: agent incarnation cols: none write: yes
UPDATE {agent} SET state = 'STOPPED', lease_until = clock_timestamp() + CAST(-1000 AS BIGINT) * INTERVAL '1 millisecond', heartbeat_at = clock_timestamp() WHERE agent_id = ? AND incarnation = ?
