-- claim_pick_free: the head of one queue without the rows that somebody else has locked, for a minute after a claim
-- had to wait for one; MySQL 8, MariaDB 10.6. args: type priority limit cols: i write: no
SELECT msg_id FROM {send} FORCE INDEX ({ix:send_queue})
WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= NOW(3)
ORDER BY send_at, msg_id LIMIT ? FOR UPDATE SKIP LOCKED
