-- result_add: the result of a row; result_drop follows. Longer than the longest message that any provider takes, a body
-- is cut: a copy of a megabyte would only cost. args: policy policy class code text provider_code
-- provider_id client_key carrier parts channel owner was_sent done_at msg_id fence cols: none write: yes
INSERT INTO {result} (msg_id, created_at, req_key, asked_type, sender, recipient, subject, body, group_key, dept_code,
  origin_code, etc1, etc2, etc3, etc4, send_at, result_class, result_code, result_text, provider_code, provider_id, client_key,
  sent_type, leg, carrier, parts, channel, owner, try_no, sent_at, done_at)
SELECT msg_id, created_at, req_key, COALESCE(asked_type, msg_type), sender, recipient,
  CASE ? WHEN 0 THEN subject WHEN 1 THEN SUBSTR(subject, 1, 2) || '***' ELSE NULL END,
  CASE ? WHEN 0 THEN SUBSTR(body, 1, 16384) WHEN 1 THEN SUBSTR(body, 1, 2) || '***' ELSE NULL END,
  group_key, dept_code, origin_code, etc1, etc2, etc3, etc4, send_at, ?, ?, ?, ?,
  COALESCE(?, provider_id), COALESCE(?, client_key), msg_type, leg, ?, ?, COALESCE(?, channel), COALESCE(?, owner),
  try_no, CASE WHEN ? = 1 THEN COALESCE(last_sent_at, first_sent_at) ELSE NULL END, COALESCE(?, strftime('%Y-%m-%d %H:%M:%f', 'now'))
FROM {send} WHERE msg_id = ? AND fence = ?
