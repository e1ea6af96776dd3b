-- claim_seq: raises the counter of claims and re-sends: no row when it or that of heartbeats is below what the agent
-- remembers, the lease is over, another start took the id, or all is frozen. args: agent incarnation claim_seq
-- beat_seq cols: none write: yes
UPDATE {agent} SET claim_seq = claim_seq + 1
WHERE agent_id = ? AND incarnation = ? AND claim_seq >= ? AND beat_seq >= ? AND lease_until > clock_timestamp()
  AND NOT EXISTS (SELECT 1 FROM {meta} WHERE frozen = 'Y')
