-- admin_agents: all agents of these tables. args: none cols: ttttttiiii write: no
SELECT agent_id, host, version, state, channels, last_error, COALESCE(pid, 0) AS pid_no,
  CASE WHEN lease_until > strftime('%Y-%m-%d %H:%M:%f', 'now') THEN 1 ELSE 0 END AS is_live,
  COALESCE(CAST(ROUND((julianday(heartbeat_at) - julianday('now')) * 86400000.0) AS INTEGER), 0) AS beat_in,
  waiting
FROM {agent} ORDER BY lease_until DESC, agent_id
