-- deferred_due: DEFERRED rows that become ready. args: limit cols: ii write: no
SELECT msg_id, fence FROM {send} FORCE INDEX ({ix:send_due})
WHERE status = 5 AND due_at <= NOW(3) AND fence > 0 ORDER BY due_at LIMIT ?
