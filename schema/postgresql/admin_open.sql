-- admin_open: rows of one status whose outcome is unknown, the next due first. args: status limit cols: ittttttttiiii write: no
SELECT msg_id, msg_type, recipient, owner, channel, client_key, hold_code, pend_class, pend_code, try_no,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM COALESCE(last_sent_at, first_sent_at)) * 1000) AS BIGINT), 0) AS since_ms,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM due_at) * 1000) AS BIGINT), 0) AS due_ms,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM due_at - clock_timestamp()) * 1000) AS BIGINT), 0) AS due_in
FROM {send} WHERE status = CAST(? AS SMALLINT) ORDER BY due_at LIMIT CAST(? AS BIGINT)
