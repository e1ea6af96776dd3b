-- result_add_set: the results of these rows, as result_add for many rows; result_drop_set follows. args: rows cols:
-- none write: yes
INSERT INTO {result} (msg_id, created_at, req_key, asked_type, sender, recipient, subject, body, group_key, dept_code,
  origin_code, etc1, etc2, etc3, etc4, send_at, result_class, result_code, result_text, provider_code, provider_id, client_key,
  sent_type, leg, carrier, parts, channel, owner, try_no, sent_at, done_at)
SELECT s.msg_id, s.created_at, s.req_key, COALESCE(s.asked_type, s.msg_type), s.sender, s.recipient,
  CASE v.policy WHEN 0 THEN s.subject WHEN 1 THEN SUBSTR(s.subject, 1, 2) || '***' ELSE NULL END,
  CASE v.policy WHEN 0 THEN SUBSTR(s.body, 1, 16384) WHEN 1 THEN SUBSTR(s.body, 1, 2) || '***' ELSE NULL END,
  s.group_key, s.dept_code, s.origin_code, s.etc1, s.etc2, s.etc3, s.etc4, s.send_at, v.class, v.code, v.result_text, v.provider_code,
  COALESCE(v.provider_id, s.provider_id), COALESCE(v.client_key, s.client_key), s.msg_type, s.leg, v.carrier, v.parts,
  COALESCE(v.channel, s.channel), COALESCE(v.owner, s.owner), s.try_no,
  CASE WHEN v.was_sent = 1 THEN COALESCE(s.last_sent_at, s.first_sent_at) ELSE NULL END, COALESCE(v.done_at, strftime('%Y-%m-%d %H:%M:%f', 'now'))
FROM (SELECT json_extract(value, '$[0]') AS policy, json_extract(value, '$[2]') AS class, json_extract(value, '$[3]') AS code,
    json_extract(value, '$[4]') AS result_text, json_extract(value, '$[5]') AS provider_code, json_extract(value, '$[6]') AS provider_id,
    json_extract(value, '$[7]') AS client_key, json_extract(value, '$[8]') AS carrier, json_extract(value, '$[9]') AS parts,
    json_extract(value, '$[10]') AS channel, json_extract(value, '$[11]') AS owner, json_extract(value, '$[12]') AS was_sent,
    json_extract(value, '$[13]') AS done_at, json_extract(value, '$[14]') AS msg_id, json_extract(value, '$[15]') AS fence
  FROM json_each(?)) AS v
CROSS JOIN {send} AS s WHERE s.msg_id = v.msg_id AND s.fence = v.fence
