-- beat_read: what the agent has to know at each heartbeat. args: agent cols: iti write: no
SELECT a.claim_seq, m.frozen, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms
FROM {agent} a JOIN {meta} m ON m.id = 1 WHERE a.agent_id = ?
