-- agent_start: a new start of an agent. args: lease_ms journal boot host pid version agent incarnation cols: none
-- write: yes
UPDATE {agent}
SET incarnation = incarnation + 1, state = 'LIVE', started_at = clock_timestamp(), heartbeat_at = clock_timestamp(), lease_until = clock_timestamp() + CAST(? AS BIGINT) * INTERVAL '1 millisecond',
  journal_id = ?, boot_id = ?, host = ?, pid = ?, version = ?, last_error = NULL
WHERE agent_id = ? AND incarnation = ?
