-- queue_oldest: age of the oldest due row of a queue. args: type priority cols: i write: no
SELECT CAST(ROUND((julianday('now') - julianday(MIN(send_at))) * 86400000.0) AS INTEGER) FROM {send}
WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')
