-- agent_read: the row of an agent. args: agent cols: ititttii write: no
SELECT incarnation, journal_id, CASE WHEN lease_until > clock_timestamp() THEN 1 ELSE 0 END AS is_live, host, boot_id, state, COALESCE(pid, 0), claim_seq
FROM {agent} WHERE agent_id = ?
