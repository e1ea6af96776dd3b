-- admin_open: rows of one status whose outcome is unknown, the next due first. args: status limit cols: ittttttttiiii write: no
SELECT msg_id, msg_type, recipient, owner, channel, client_key, hold_code, pend_class, pend_code, try_no,
  COALESCE(CAST(ROUND((julianday(COALESCE(last_sent_at, first_sent_at)) - 2440587.5) * 86400000.0) AS INTEGER), 0) AS since_ms,
  COALESCE(CAST(ROUND((julianday(due_at) - 2440587.5) * 86400000.0) AS INTEGER), 0) AS due_ms,
  COALESCE(CAST(ROUND((julianday(due_at) - julianday('now')) * 86400000.0) AS INTEGER), 0) AS due_in
FROM {send} WHERE status = ? ORDER BY due_at LIMIT ?
