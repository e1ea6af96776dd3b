-- admin_row: one message that waits or is under way. args: expire_ms msg_id cols: iittttttiitttttttiiiiiiiiii write: no
SELECT msg_id, status, req_key, msg_type, asked_type, sender, recipient, group_key, COALESCE(priority, -1) AS priority_no,
  CASE WHEN UPPER(TRIM(cancel_yn)) = 'Y' THEN 1 ELSE 0 END AS is_cancelled, owner, channel, client_key, provider_id, hold_code,
  pend_class, pend_code, leg, try_no,
  COALESCE(CAST(UNIX_TIMESTAMP(created_at) * 1000 AS SIGNED), 0) AS created_ms,
  COALESCE(CAST(UNIX_TIMESTAMP(send_at) * 1000 AS SIGNED), 0) AS send_ms,
  COALESCE(CAST(UNIX_TIMESTAMP(due_at) * 1000 AS SIGNED), 0) AS due_ms,
  COALESCE(CAST(UNIX_TIMESTAMP(first_sent_at) * 1000 AS SIGNED), 0) AS first_ms,
  COALESCE(CAST(UNIX_TIMESTAMP(last_sent_at) * 1000 AS SIGNED), 0) AS last_ms,
  COALESCE(TIMESTAMPDIFF(MICROSECOND, NOW(3), send_at) DIV 1000, 0) AS send_in,
  COALESCE(TIMESTAMPDIFF(MICROSECOND, NOW(3), due_at) DIV 1000, 0) AS due_in,
  COALESCE(TIMESTAMPDIFF(MICROSECOND, NOW(3), COALESCE(expire_at, send_at + INTERVAL ? * 1000 MICROSECOND)) DIV 1000, 0) AS expire_in
FROM {send} WHERE msg_id = ?
