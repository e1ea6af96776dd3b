-- beat_read: what the agent has to know at each heartbeat. args: agent cols: itiii write: no
SELECT a.claim_seq, m.frozen, CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT) AS now_ms,
  CASE WHEN a.replayed_epoch < m.freeze_epoch THEN 1 ELSE 0 END AS owes_replay,
  a.beat_seq
FROM {agent} a JOIN {meta} m ON m.id = 1 WHERE a.agent_id = ?
