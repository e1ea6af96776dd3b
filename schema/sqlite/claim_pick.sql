-- claim_pick: the head of one queue. args: type priority limit cols: i write: no
SELECT msg_id FROM {send}
WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')
ORDER BY send_at, msg_id LIMIT ?
