-- admin_results: the results of one id, oldest first. args: msg_id cols: tttttttttttttiiiiiiii write: no
SELECT result_class, result_code, result_text, provider_code, provider_id, client_key, channel, owner, sent_type, carrier,
  late, read_yn, req_key, leg, try_no, COALESCE(parts, 0) AS part_count, rev,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM created_at) * 1000) AS BIGINT), 0) AS created_ms,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM sent_at) * 1000) AS BIGINT), 0) AS sent_ms,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM done_at) * 1000) AS BIGINT), 0) AS done_ms,
  COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM changed_at) * 1000) AS BIGINT), 0) AS changed_ms
FROM {result} WHERE msg_id = ? ORDER BY created_at
