-- walk: waiting rows in order of their id: what of them needs an answer without being sent, also
-- those with an open attempt that is past its close time. args: expire_ms close_ms after limit cols: iiitiiiiittt write: no
SELECT msg_id, status, fence, msg_type, COALESCE(priority, -1) AS priority_no, CASE WHEN priority IS NULL THEN 1 ELSE 0 END AS no_priority,
  CASE WHEN send_at IS NULL THEN 1 ELSE 0 END AS no_time,
  CASE WHEN COALESCE(expire_at, strftime('%Y-%m-%d %H:%M:%f', send_at, printf('%+.3f seconds', ? / 1000.0))) <= strftime('%Y-%m-%d %H:%M:%f', 'now')
    OR (fence > 0 AND strftime('%Y-%m-%d %H:%M:%f', first_sent_at, printf('%+.3f seconds', ? / 1000.0)) <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS is_expired,
  CASE WHEN UPPER(TRIM(cancel_yn)) = 'Y' THEN 1 ELSE 0 END AS is_cancelled,
  CASE WHEN first_sent_at IS NULL OR fence = 0 THEN NULL ELSE 'Y' END AS was_sent,
  CASE WHEN fence = 0 THEN NULL ELSE client_key END AS own_key, SUBSTR(msg_type, 1, 40) AS type_text
FROM {send}
WHERE msg_id > ? ORDER BY msg_id LIMIT ?
