-- silent_due: ACCEPTED rows without a report near their close time and not asked for yet, of this agent or of agents
-- whose lease is over. args: lead_ms mark owner limit cols: iit write: no
SELECT s.msg_id, s.fence, s.client_key FROM {send} s
WHERE s.status = 2 AND s.due_at <= (SELECT clock_timestamp() + CAST(? AS BIGINT) * INTERVAL '1 millisecond') AND s.fence > 0 AND (s.hold_code IS NULL OR CAST(s.hold_code AS VARCHAR) < CAST(? AS VARCHAR))
  AND (s.owner = ? OR NOT EXISTS (SELECT 1 FROM {agent} a WHERE a.agent_id = s.owner AND a.lease_until > clock_timestamp()))
ORDER BY s.due_at LIMIT ?
