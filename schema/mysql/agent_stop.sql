-- agent_stop: the lease ends. args: agent incarnation cols: none write: yes
UPDATE {agent} SET state = 'STOPPED', lease_until = NOW(3) + INTERVAL -1000 * 1000 MICROSECOND, heartbeat_at = NOW(3) WHERE agent_id = ? AND incarnation = ?
