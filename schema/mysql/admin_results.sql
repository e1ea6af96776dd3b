-- admin_results: the results of one id, oldest first. args: msg_id cols: tttttttttttttiiiiiiii write: no
SELECT result_class, result_code, result_text, provider_code, provider_id, client_key, channel, owner, sent_type, carrier,
  late, read_yn, req_key, leg, try_no, COALESCE(parts, 0) AS part_count, rev,
  COALESCE(CAST(UNIX_TIMESTAMP(created_at) * 1000 AS SIGNED), 0) AS created_ms,
  COALESCE(CAST(UNIX_TIMESTAMP(sent_at) * 1000 AS SIGNED), 0) AS sent_ms,
  COALESCE(CAST(UNIX_TIMESTAMP(done_at) * 1000 AS SIGNED), 0) AS done_ms,
  COALESCE(CAST(UNIX_TIMESTAMP(changed_at) * 1000 AS SIGNED), 0) AS changed_ms
FROM {result} WHERE msg_id = ? ORDER BY created_at
