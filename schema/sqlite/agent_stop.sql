-- agent_stop: the lease ends. args: agent incarnation cols: none write: yes
UPDATE {agent} SET state = 'STOPPED', lease_until = strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', -1000 / 1000.0)), heartbeat_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE agent_id = ? AND incarnation = ?
