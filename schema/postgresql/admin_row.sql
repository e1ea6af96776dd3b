-- admin_row: one message that waits or is under way. args: expire_ms msg_id cols: iittttttiitttttttiiiiiiiiii write: no
SELECT msg_id, status, req_key, msg_type, asked_type, sender, recipient, group_key, COALESCE(priority, -1) AS priority_no,
  CASE WHEN UPPER(TRIM(cancel_yn)) = 'Y' THEN 1 ELSE 0 END AS is_cancelled, owner, channel, client_key, provider_id, hold_code,
  pend_class, pend_code, leg, try_no,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM created_at) * 1000) AS BIGINT), 0) AS created_ms,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM send_at) * 1000) AS BIGINT), 0) AS send_ms,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM due_at) * 1000) AS BIGINT), 0) AS due_ms,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM first_sent_at) * 1000) AS BIGINT), 0) AS first_ms,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM last_sent_at) * 1000) AS BIGINT), 0) AS last_ms,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM send_at - clock_timestamp()) * 1000) AS BIGINT), 0) AS send_in,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM due_at - clock_timestamp()) * 1000) AS BIGINT), 0) AS due_in,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM COALESCE(expire_at, send_at + CAST(? AS BIGINT) * INTERVAL '1 millisecond') - clock_timestamp()) * 1000) AS BIGINT), 0) AS expire_in
FROM {send} WHERE msg_id = ?
