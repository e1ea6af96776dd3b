-- accept_set: the provider took these attempts, as accept for many rows. args: rows cols: none write: yes
UPDATE {send} AS s
SET status = 2, channel = COALESCE(v.channel, s.channel), provider_id = COALESCE(v.provider_id, s.provider_id),
  due_at = strftime('%Y-%m-%d %H:%M:%f', COALESCE(s.first_sent_at, strftime('%Y-%m-%d %H:%M:%f', 'now')), printf('%+.3f seconds', v.close_ms / 1000.0)),
  first_sent_at = COALESCE(s.first_sent_at, strftime('%Y-%m-%d %H:%M:%f', 'now')), hold_code = NULL, pend_class = NULL, pend_code = NULL, fence = s.fence + 1
FROM (SELECT json_extract(value, '$[0]') AS channel, json_extract(value, '$[1]') AS provider_id, json_extract(value, '$[2]') AS close_ms,
    json_extract(value, '$[3]') AS msg_id, json_extract(value, '$[4]') AS fence, json_extract(value, '$[5]') AS client_key
  FROM json_each(?)) AS v
WHERE s.msg_id = v.msg_id AND s.fence = v.fence AND s.client_key = v.client_key AND +s.status IN (0, 1, 3, 4, 5)
