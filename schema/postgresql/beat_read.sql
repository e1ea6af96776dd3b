-- beat_read: what the agent has to know at each heartbeat. args: agent cols: iti write: no
SELECT a.claim_seq, m.frozen, CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT) AS now_ms
FROM {agent} a JOIN {meta} m ON m.id = 1 WHERE a.agent_id = ?
