-- beat_read: what the agent has to know at each heartbeat. args: agent cols: iti write: no
SELECT a.claim_seq, m.frozen, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) AS now_ms
FROM {agent} a JOIN {meta} m ON m.id = 1 WHERE a.agent_id = ?
