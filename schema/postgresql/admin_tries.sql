-- admin_tries: older attempts and parts of one message. args: msg_id cols: itttttiiii write: no
SELECT COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM COALESCE(sent_at, created_at)) * 1000) AS BIGINT), 0) AS at_ms,
  outcome, code, client_key, channel, provider_id, leg, try_no,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM closed_at) * 1000) AS BIGINT), 0) AS closed_ms, part
FROM {try} WHERE msg_id = ? ORDER BY id
