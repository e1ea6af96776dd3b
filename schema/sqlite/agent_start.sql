-- agent_start: a new start of an agent. args: lease_ms journal boot host pid version agent incarnation cols: none
-- write: yes
UPDATE {agent}
SET incarnation = incarnation + 1, state = 'LIVE', started_at = strftime('%Y-%m-%d %H:%M:%f', 'now'), heartbeat_at = strftime('%Y-%m-%d %H:%M:%f', 'now'), lease_until = strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', ? / 1000.0)),
  journal_id = ?, boot_id = ?, host = ?, pid = ?, version = ?, last_error = NULL
WHERE agent_id = ? AND incarnation = ?
