-- unknown_due: rows in UNKNOWN whose next look is due, of this agent or of agents whose lease is over. args: owner
-- limit cols: iit write: no
SELECT s.msg_id, s.fence, s.client_key FROM {send} s
WHERE s.status = 3 AND s.due_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')
  AND (s.owner = ? OR NOT EXISTS (SELECT 1 FROM {agent} a WHERE a.agent_id = s.owner AND a.lease_until > strftime('%Y-%m-%d %H:%M:%f', 'now')))
ORDER BY s.due_at LIMIT ?
