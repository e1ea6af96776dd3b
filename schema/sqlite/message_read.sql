-- message_read: rows that are ours and SENDING, texts cut at cap characters beside their true length in bytes. args:
-- expire_ms cap cap cap cap owner incarnation ids cols: iiiiitttttiiiiiitttttititttittttittttttttt write: no
SELECT msg_id, fence, try_no, leg, generation,
  client_key, channel AS channel_name, created_at AS created_text, msg_type, asked_type,
  COALESCE(priority, 1) AS priority_no, CAST(ROUND((julianday(COALESCE(expire_at, strftime('%Y-%m-%d %H:%M:%f', send_at, printf('%+.3f seconds', ? / 1000.0)))) - julianday('now')) * 86400000.0) AS INTEGER) AS expire_in_ms,
  CASE WHEN UPPER(TRIM(cancel_yn)) = 'Y' THEN 1 ELSE 0 END AS is_cancelled,
  CASE WHEN UPPER(TRIM(is_ad)) = 'Y' THEN 1 ELSE 0 END AS is_ad_no,
  CASE WHEN pend_class = 'OPEN' THEN 1 ELSE 0 END AS is_resend,
  CASE WHEN generation = 0 THEN 0 ELSE (SELECT COUNT(*) FROM {try} t WHERE t.msg_id = {send}.msg_id
    AND t.created_at = {send}.created_at AND t.leg = {send}.leg AND t.part = 0 AND t.outcome IN ('OPEN', 'ACCEPTED')) END AS open_tries,
  SUBSTR(req_key, 1, 65) AS req_key, SUBSTR(sender, 1, 33) AS sender, SUBSTR(recipient, 1, 255) AS recipient,
  SUBSTR(subject, 1, 201) AS subject,
  SUBSTR(body, 1, ?) AS body_cut, LENGTH(CAST(body AS BLOB)) AS body_bytes, SUBSTR(vars, 1, ?) AS vars_cut, LENGTH(CAST(vars AS BLOB)) AS vars_bytes,
  SUBSTR(profile_key, 1, 65) AS profile_key, SUBSTR(template_code, 1, 65) AS template_code,
  SUBSTR(payload, 1, ?) AS payload_cut, LENGTH(CAST(payload AS BLOB)) AS payload_bytes, SUBSTR(file_key, 1, 65) AS file_key,
  SUBSTR(fallback_type, 1, 9) AS fallback_type, SUBSTR(fallback_subject, 1, 201) AS fallback_subject,
  SUBSTR(fallback_body, 1, ?) AS fallback_body_cut, LENGTH(CAST(fallback_body AS BLOB)) AS fallback_body_bytes,
  SUBSTR(fallback_file_key, 1, 65) AS fallback_file_key,
  SUBSTR(group_key, 1, 65) AS group_key, SUBSTR(dept_code, 1, 33) AS dept_code, SUBSTR(origin_code, 1, 17) AS origin_code,
  SUBSTR(etc1, 1, 101) AS etc1, SUBSTR(etc2, 1, 101) AS etc2, SUBSTR(etc3, 1, 101) AS etc3, SUBSTR(etc4, 1, 101) AS etc4,
  send_at AS send_text
FROM {send}
WHERE status = 1 AND owner = ? AND incarnation = ? AND msg_id IN ({ids})
