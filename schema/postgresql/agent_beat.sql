-- agent_beat: the lease goes on; counted, so that an agent which claims nothing notices lost commits, too.
-- args: lease_ms channels last_error agent incarnation cols: none write: yes
UPDATE {agent} SET heartbeat_at = clock_timestamp(), lease_until = clock_timestamp() + CAST(? AS BIGINT) * INTERVAL '1 millisecond', channels = ?, last_error = ?,
  beat_seq = beat_seq + 1
WHERE agent_id = ? AND incarnation = ?
