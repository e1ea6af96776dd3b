-- queue_oldest: age of the oldest due row of a queue. args: type priority cols: i write: no
SELECT CAST(FLOOR(EXTRACT(EPOCH FROM (clock_timestamp()) - (MIN(send_at))) * 1000) AS BIGINT) FROM {send}
WHERE status = 0 AND msg_type = ? AND priority = CAST(? AS SMALLINT) AND send_at <= (SELECT clock_timestamp())
