-- admin_history: what was out of the ordinary with one message. args: msg_id cols: itttttiiii write: no
SELECT COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM at) * 1000) AS BIGINT), 0) AS at_ms,
  event, code, client_key, channel, CASE WHEN who IS NULL THEN reason
    WHEN reason IS NULL THEN who ELSE who || ': ' || reason END AS reason_text,
  COALESCE(leg, 0) AS leg_no, COALESCE(try_no, 0) AS try_count, COALESCE(from_status, -1) AS from_no, COALESCE(to_status, -1) AS to_no
FROM {history} WHERE msg_id = ? ORDER BY id
