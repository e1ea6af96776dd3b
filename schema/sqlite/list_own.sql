-- list_own: own rows in SENDING. args: close_ms owner after all limit cols: iiiiiiitttttttiiittiii write: no
SELECT msg_id, status, fence, incarnation, leg, try_no, generation, msg_type, owner, client_key, channel, provider_id,
  fallback_type, created_at AS created_text,
  COALESCE(CAST(ROUND((julianday('now') - julianday(first_sent_at)) * 86400000.0) AS INTEGER), 0) AS since_first, COALESCE(CAST(ROUND((julianday('now') - julianday(last_sent_at)) * 86400000.0) AS INTEGER), 0) AS since_try,
  CAST(ROUND((julianday(strftime('%Y-%m-%d %H:%M:%f', COALESCE(first_sent_at, strftime('%Y-%m-%d %H:%M:%f', 'now')), printf('%+.3f seconds', ? / 1000.0))) - julianday('now')) * 86400000.0) AS INTEGER) AS until_close, pend_class, pend_code,
  (SELECT COUNT(*) FROM {try} t WHERE t.msg_id = s.msg_id AND t.created_at = s.created_at AND t.leg = s.leg
    AND t.part = 0 AND t.outcome IN ('OPEN', 'ACCEPTED')) AS open_tries,
  (SELECT COALESCE(2 * MAX(CASE WHEN t.part > 0 THEN 1 ELSE 0 END)
      + MAX(CASE WHEN t.part = 0 AND t.client_key = s.client_key AND t.outcome IN ('REFUSED', 'FAILED') THEN 1 ELSE 0 END), 0)
    FROM {try} t WHERE t.msg_id = s.msg_id AND t.created_at = s.created_at) AS parts_and_closed, resend_no
FROM {send} s
WHERE status = 1 AND owner = ? AND msg_id > ? AND (due_at < strftime('%Y-%m-%d %H:%M:%f', 'now') OR ? = 1)
ORDER BY msg_id + 0 LIMIT ?
