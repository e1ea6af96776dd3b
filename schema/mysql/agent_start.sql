-- agent_start: a new start of an agent. args: lease_ms journal boot host pid version agent incarnation cols: none
-- write: yes
UPDATE {agent}
SET incarnation = incarnation + 1, state = 'LIVE', started_at = NOW(3), heartbeat_at = NOW(3), lease_until = NOW(3) + INTERVAL ? * 1000 MICROSECOND,
  journal_id = ?, boot_id = ?, host = ?, pid = ?, version = ?, last_error = NULL
WHERE agent_id = ? AND incarnation = ?
