-- result_orphan: the result of a message whose row the application deleted. When it was created may not be known:
-- not as late as a row that gets its id afterwards. args: msg_id created_at req_key asked_type sender recipient
-- subject body group_key dept_code origin_code etc1 etc2 etc3 etc4 send_at class code text provider_code provider_id
-- client_key sent_type leg carrier parts channel owner try_no done_at cols: none write: yes
INSERT INTO {result} (msg_id, created_at, req_key, asked_type, sender, recipient, subject, body, group_key, dept_code,
  origin_code, etc1, etc2, etc3, etc4, send_at, result_class, result_code, result_text, provider_code, provider_id, client_key,
  sent_type, leg, carrier, parts, channel, owner, try_no, done_at)
VALUES (?, COALESCE(?, NOW(3) - INTERVAL 1 SECOND), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
  ?, ?, ?, ?, ?, ?, ?, COALESCE(?, NOW(3)))
