-- deferred_due: DEFERRED rows that become ready. args: limit cols: ii write: no
SELECT msg_id, fence FROM {send}
WHERE status = 5 AND due_at <= strftime('%Y-%m-%d %H:%M:%f', 'now') AND fence > 0 ORDER BY due_at LIMIT ?
