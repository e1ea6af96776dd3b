-- lease_over: SENDING rows whose lease and whose agent's lease are over, not ours. args: owner limit cols: iit
-- write: no
SELECT s.msg_id, s.fence, s.client_key FROM {send} s FORCE INDEX ({ix:send_due})
WHERE s.status = 1 AND s.due_at < NOW(3) AND s.fence > 0 AND (s.owner IS NULL OR s.owner <> ?)
  AND NOT EXISTS (SELECT 1 FROM {agent} a WHERE a.agent_id = s.owner AND a.lease_until > NOW(3))
ORDER BY s.due_at LIMIT ?
