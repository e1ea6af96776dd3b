-- claim_take: 0 -> 1 for the head of one queue in one statement; rows that others hold are skipped, values that an
-- application wrote into the columns of the agent (fence 0) are reset. args: owner incarnation lease_ms type
-- priority limit expire_ms cap cap cap cap cols: iiiiitttttiiiiiitttttititttittttittttttttt write: yes
UPDATE {send}
SET status = 1, owner = ?, incarnation = ?, due_at = clock_timestamp() + CAST(? AS BIGINT) * INTERVAL '1 millisecond',
  try_no = CASE WHEN fence = 0 THEN 1 ELSE try_no + 1 END,
  leg = CASE WHEN fence = 0 THEN 0 ELSE leg END,
  generation = CASE WHEN fence = 0 THEN 0 ELSE generation END,
  resend_no = CASE WHEN fence = 0 THEN 0 ELSE resend_no END,
  asked_type = CASE WHEN fence = 0 OR asked_type IS NULL THEN msg_type ELSE asked_type END,
  client_key = CASE WHEN fence = 0 THEN NULL ELSE client_key END,
  channel = CASE WHEN fence = 0 THEN NULL ELSE channel END,
  provider_id = CASE WHEN fence = 0 THEN NULL ELSE provider_id END,
  first_sent_at = CASE WHEN fence = 0 OR first_sent_at IS NULL THEN clock_timestamp() ELSE first_sent_at END,
  last_sent_at = clock_timestamp(), hold_code = NULL,
  pend_class = CASE WHEN fence > 0 AND pend_class = 'OPEN' THEN pend_class ELSE NULL END, pend_code = NULL,
  fence = fence + 1
WHERE msg_id = ANY(ARRAY(SELECT msg_id FROM {send}
  WHERE status = 0 AND msg_type = ? AND priority = CAST(? AS SMALLINT) AND send_at <= (SELECT clock_timestamp())
  ORDER BY send_at, msg_id LIMIT CAST(? AS BIGINT) FOR UPDATE SKIP LOCKED))
RETURNING msg_id, fence, try_no, leg, generation,
  client_key, channel AS channel_name, CAST(created_at AS TEXT) AS created_text, msg_type, asked_type,
  COALESCE(priority, 1) AS priority_no, CAST(FLOOR(EXTRACT(EPOCH FROM (COALESCE(expire_at, send_at + CAST(? AS BIGINT) * INTERVAL '1 millisecond')) - (clock_timestamp())) * 1000) AS BIGINT) AS expire_in_ms,
  CASE WHEN UPPER(TRIM(cancel_yn)) = 'Y' THEN 1 ELSE 0 END AS is_cancelled,
  CASE WHEN UPPER(TRIM(is_ad)) = 'Y' THEN 1 ELSE 0 END AS is_ad_no,
  CASE WHEN pend_class = 'OPEN' THEN 1 ELSE 0 END AS is_resend,
  CASE WHEN generation = 0 THEN 0 ELSE (SELECT COUNT(*) FROM {try} t WHERE t.msg_id = {send}.msg_id
    AND t.created_at = {send}.created_at AND t.leg = {send}.leg AND t.part = 0 AND t.outcome IN ('OPEN', 'ACCEPTED')) END AS open_tries,
  req_key AS req_key, sender AS sender, recipient AS recipient,
  subject AS subject,
  SUBSTR(body, 1, CAST(? AS INT)) AS body_cut, OCTET_LENGTH(body) AS body_bytes, SUBSTR(vars, 1, CAST(? AS INT)) AS vars_cut, OCTET_LENGTH(vars) AS vars_bytes,
  profile_key AS profile_key, template_code AS template_code,
  SUBSTR(payload, 1, CAST(? AS INT)) AS payload_cut, OCTET_LENGTH(payload) AS payload_bytes, file_key AS file_key,
  fallback_type AS fallback_type, fallback_subject AS fallback_subject,
  SUBSTR(fallback_body, 1, CAST(? AS INT)) AS fallback_body_cut, OCTET_LENGTH(fallback_body) AS fallback_body_bytes,
  fallback_file_key AS fallback_file_key,
  group_key AS group_key, dept_code AS dept_code, origin_code AS origin_code,
  etc1 AS etc1, etc2 AS etc2, etc3 AS etc3, etc4 AS etc4,
  CAST(send_at AS TEXT) AS send_text
