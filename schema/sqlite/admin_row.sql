-- admin_row: one message that waits or is under way. args: expire_ms msg_id cols: iittttttiitttttttiiiiiiiiii write: no
SELECT msg_id, status, req_key, msg_type, asked_type, sender, recipient, group_key, COALESCE(priority, -1) AS priority_no,
  CASE WHEN UPPER(TRIM(cancel_yn)) = 'Y' THEN 1 ELSE 0 END AS is_cancelled, owner, channel, client_key, provider_id, hold_code,
  pend_class, pend_code, leg, try_no,
  COALESCE(CAST(ROUND((julianday(created_at) - 2440587.5) * 86400000.0) AS INTEGER), 0) AS created_ms,
  COALESCE(CAST(ROUND((julianday(send_at) - 2440587.5) * 86400000.0) AS INTEGER), 0) AS send_ms,
  COALESCE(CAST(ROUND((julianday(due_at) - 2440587.5) * 86400000.0) AS INTEGER), 0) AS due_ms,
  COALESCE(CAST(ROUND((julianday(first_sent_at) - 2440587.5) * 86400000.0) AS INTEGER), 0) AS first_ms,
  COALESCE(CAST(ROUND((julianday(last_sent_at) - 2440587.5) * 86400000.0) AS INTEGER), 0) AS last_ms,
  COALESCE(CAST(ROUND((julianday(send_at) - julianday('now')) * 86400000.0) AS INTEGER), 0) AS send_in,
  COALESCE(CAST(ROUND((julianday(due_at) - julianday('now')) * 86400000.0) AS INTEGER), 0) AS due_in,
  COALESCE(CAST(ROUND((julianday(COALESCE(expire_at, strftime('%Y-%m-%d %H:%M:%f', send_at, printf('%+.3f seconds', ? / 1000.0)))) - julianday('now')) * 86400000.0) AS INTEGER), 0) AS expire_in
FROM {send} WHERE msg_id = ?
