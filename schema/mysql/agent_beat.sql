-- agent_beat: the lease goes on; counted, so that an agent which claims nothing notices lost commits, too.
-- args: lease_ms channels last_error agent incarnation cols: none write: yes
UPDATE {agent} SET heartbeat_at = NOW(3), lease_until = NOW(3) + INTERVAL ? * 1000 MICROSECOND, channels = ?, last_error = ?,
  beat_seq = beat_seq + 1
WHERE agent_id = ? AND incarnation = ?
