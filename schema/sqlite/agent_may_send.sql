-- agent_may_send: one row when this start of the agent still has its lease and nothing is frozen. args: agent
-- incarnation cols: i write: no
SELECT 1 FROM {agent}
WHERE agent_id = ? AND incarnation = ? AND lease_until > strftime('%Y-%m-%d %H:%M:%f', 'now')
  AND NOT EXISTS (SELECT 1 FROM {meta} WHERE frozen = 'Y')
