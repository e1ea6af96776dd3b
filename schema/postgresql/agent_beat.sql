-- agent_beat: the lease goes on. args: lease_ms channels last_error agent incarnation cols: none write: yes
UPDATE {agent} SET heartbeat_at = clock_timestamp(), lease_until = clock_timestamp() + CAST(? AS BIGINT) * INTERVAL '1 millisecond', channels = ?, last_error = ?
WHERE agent_id = ? AND incarnation = ?
