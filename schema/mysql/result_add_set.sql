-- result_add_set: the results of these rows, as result_add for many rows; result_drop_set follows. args: rows cols:
-- none write: yes
INSERT INTO {result} (msg_id, created_at, req_key, asked_type, sender, recipient, subject, body, group_key, dept_code,
  origin_code, etc1, etc2, etc3, etc4, send_at, result_class, result_code, result_text, provider_code, provider_id, client_key,
  sent_type, leg, carrier, parts, channel, owner, try_no, sent_at, done_at)
SELECT s.msg_id, s.created_at, s.req_key, COALESCE(s.asked_type, s.msg_type), s.sender, s.recipient,
  CASE v.policy WHEN 0 THEN s.subject WHEN 1 THEN CONCAT(SUBSTR(s.subject, 1, 2), '***') ELSE NULL END,
  CASE v.policy WHEN 0 THEN SUBSTR(s.body, 1, 16384) WHEN 1 THEN CONCAT(SUBSTR(s.body, 1, 2), '***') ELSE NULL END,
  s.group_key, s.dept_code, s.origin_code, s.etc1, s.etc2, s.etc3, s.etc4, s.send_at, v.class, v.code, v.result_text, v.provider_code,
  COALESCE(v.provider_id, s.provider_id), COALESCE(v.client_key, s.client_key), s.msg_type, s.leg, v.carrier, v.parts,
  COALESCE(v.channel, s.channel), COALESCE(v.owner, s.owner), s.try_no,
  CASE WHEN v.was_sent = 1 THEN COALESCE(s.last_sent_at, s.first_sent_at) ELSE NULL END, COALESCE(v.done_at, NOW(3))
FROM JSON_TABLE(?, '$[*]' COLUMNS (policy BIGINT PATH '$[0]', class VARCHAR(200) PATH '$[2]', code VARCHAR(200) PATH '$[3]',
    result_text VARCHAR(200) PATH '$[4]', provider_code VARCHAR(200) PATH '$[5]', provider_id VARCHAR(200) PATH '$[6]',
    client_key VARCHAR(200) PATH '$[7]', carrier VARCHAR(200) PATH '$[8]', parts BIGINT PATH '$[9]',
    channel VARCHAR(200) PATH '$[10]', owner VARCHAR(200) PATH '$[11]', was_sent BIGINT PATH '$[12]',
    done_at VARCHAR(200) PATH '$[13]', msg_id BIGINT PATH '$[14]', fence BIGINT PATH '$[15]')) AS v
STRAIGHT_JOIN {send} AS s ON s.msg_id = v.msg_id AND s.fence = v.fence
