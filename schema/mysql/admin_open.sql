-- admin_open: rows of one status whose outcome is unknown, the next due first. args: status limit cols: ittttttttiiii write: no
SELECT msg_id, msg_type, recipient, owner, channel, client_key, hold_code, pend_class, pend_code, try_no,
  COALESCE(CAST(UNIX_TIMESTAMP(COALESCE(last_sent_at, first_sent_at)) * 1000 AS SIGNED), 0) AS since_ms,
  COALESCE(CAST(UNIX_TIMESTAMP(due_at) * 1000 AS SIGNED), 0) AS due_ms,
  COALESCE(TIMESTAMPDIFF(MICROSECOND, NOW(3), due_at) DIV 1000, 0) AS due_in
FROM {send} FORCE INDEX ({ix:send_due}) WHERE status = ? ORDER BY due_at LIMIT ?
