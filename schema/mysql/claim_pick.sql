-- claim_pick: the head of one queue. args: type priority limit cols: i write: no
SELECT msg_id FROM {send} FORCE INDEX ({ix:send_queue})
WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= NOW(3)
ORDER BY send_at, msg_id LIMIT ?
