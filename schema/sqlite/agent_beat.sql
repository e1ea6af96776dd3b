-- agent_beat: the lease goes on; counted, so that an agent which claims nothing notices lost commits, too.
-- args: lease_ms channels last_error agent incarnation cols: none write: yes
UPDATE {agent} SET heartbeat_at = strftime('%Y-%m-%d %H:%M:%f', 'now'), lease_until = strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', ? / 1000.0)), channels = ?, last_error = ?,
  beat_seq = beat_seq + 1
WHERE agent_id = ? AND incarnation = ?
