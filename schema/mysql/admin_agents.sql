-- admin_agents: all agents of these tables. args: none cols: ttttttiiii write: no
SELECT agent_id, host, version, state, channels, last_error, COALESCE(pid, 0) AS pid_no,
  CASE WHEN lease_until > NOW(3) THEN 1 ELSE 0 END AS is_live,
  COALESCE(TIMESTAMPDIFF(MICROSECOND, NOW(3), heartbeat_at) DIV 1000, 0) AS beat_in,
  waiting
FROM {agent} ORDER BY lease_until DESC, agent_id
