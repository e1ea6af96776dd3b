-- queue_oldest: age of the oldest due row of a queue. args: type priority cols: i write: no
SELECT TIMESTAMPDIFF(MICROSECOND, MIN(send_at), NOW(3)) DIV 1000 FROM {send}
WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= NOW(3)
