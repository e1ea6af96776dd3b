-- admin_agents: all agents of these tables. args: none cols: ttttttiiii write: no
SELECT agent_id, host, version, state, channels, last_error, COALESCE(pid, 0) AS pid_no,
  CASE WHEN lease_until > clock_timestamp() THEN 1 ELSE 0 END AS is_live,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM heartbeat_at - clock_timestamp()) * 1000) AS BIGINT), 0) AS beat_in,
  waiting
FROM {agent} ORDER BY lease_until DESC, agent_id
