-- silent_due: ACCEPTED rows without a report near their close time and not asked for yet, of this agent or of agents
-- whose lease is over. args: lead_ms mark owner limit cols: iit write: no
SELECT s.msg_id, s.fence, s.client_key FROM {send} s
WHERE s.status = 2 AND s.due_at <= strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', ? / 1000.0)) AND s.fence > 0 AND (s.hold_code IS NULL OR s.hold_code < ?)
  AND (s.owner = ? OR NOT EXISTS (SELECT 1 FROM {agent} a WHERE a.agent_id = s.owner AND a.lease_until > strftime('%Y-%m-%d %H:%M:%f', 'now')))
ORDER BY s.due_at LIMIT ?
