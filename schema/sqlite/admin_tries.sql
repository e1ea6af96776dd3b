-- admin_tries: older attempts and parts of one message. args: msg_id cols: itttttiiii write: no
SELECT COALESCE(CAST(ROUND((julianday(COALESCE(sent_at, created_at)) - 2440587.5) * 86400000.0) AS INTEGER), 0) AS at_ms,
  outcome, code, client_key, channel, provider_id, leg, try_no,
  COALESCE(CAST(ROUND((julianday(closed_at) - 2440587.5) * 86400000.0) AS INTEGER), 0) AS closed_ms, part
FROM {try} WHERE msg_id = ? ORDER BY id
