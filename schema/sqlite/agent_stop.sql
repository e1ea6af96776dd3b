-- agent_stop: the lease ends. args: agent incarnation cols: none write: yes
UPDATE {agent} SET state = 'STOPPED', lease_until = strftime('%Y-%m-%d %H:%M:%f', 'now'), heartbeat_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE agent_id = ? AND incarnation = ?
