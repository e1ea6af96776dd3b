-- agent_new: the first start of an agent. args: agent lease_ms journal boot host pid version cols: none write: yes
INSERT INTO {agent} (agent_id, incarnation, state, started_at, heartbeat_at, lease_until, journal_id, boot_id, host, pid, version)
VALUES (?, 1, 'LIVE', strftime('%Y-%m-%d %H:%M:%f', 'now'), strftime('%Y-%m-%d %H:%M:%f', 'now'), strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', ? / 1000.0)), ?, ?, ?, ?, ?)
