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
  CASE WHEN v.was_sent = 1 THEN COALESCE(s.last_sent_at, s.first_sent_at) ELSE NULL END, COALESCE(CAST(v.done_at AS TIMESTAMPTZ), clock_timestamp())
FROM (SELECT CAST(j ->> 0 AS BIGINT) AS policy, CAST(j ->> 2 AS VARCHAR) AS class, CAST(j ->> 3 AS VARCHAR) AS code,
    CAST(j ->> 4 AS VARCHAR) AS result_text, CAST(j ->> 5 AS VARCHAR) AS provider_code, CAST(j ->> 6 AS VARCHAR) AS provider_id,
    CAST(j ->> 7 AS VARCHAR) AS client_key, CAST(j ->> 8 AS VARCHAR) AS carrier, CAST(j ->> 9 AS BIGINT) AS parts,
    CAST(j ->> 10 AS VARCHAR) AS channel, CAST(j ->> 11 AS VARCHAR) AS owner, CAST(j ->> 12 AS BIGINT) AS was_sent,
    CAST(j ->> 13 AS VARCHAR) AS done_at, CAST(j ->> 14 AS BIGINT) AS msg_id, CAST(j ->> 15 AS BIGINT) AS fence
  FROM json_array_elements(CAST(? AS JSON)) AS j) AS v
JOIN {send} AS s ON s.msg_id = v.msg_id AND s.fence = v.fence
