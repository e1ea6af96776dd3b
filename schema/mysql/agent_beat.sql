-- agent_beat: the lease goes on. args: lease_ms channels last_error agent incarnation cols: none write: yes
UPDATE {agent} SET heartbeat_at = NOW(3), lease_until = NOW(3) + INTERVAL ? * 1000 MICROSECOND, channels = ?, last_error = ?
WHERE agent_id = ? AND incarnation = ?
