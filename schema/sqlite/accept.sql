-- accept: the provider took the attempt with this key. args: channel provider_id close_ms msg_id fence client_key
-- cols: none write: yes
UPDATE {send}
SET status = 2, channel = COALESCE(?, channel), provider_id = COALESCE(?, provider_id),
  due_at = strftime('%Y-%m-%d %H:%M:%f', COALESCE(first_sent_at, strftime('%Y-%m-%d %H:%M:%f', 'now')), printf('%+.3f seconds', ? / 1000.0)),
  first_sent_at = COALESCE(first_sent_at, strftime('%Y-%m-%d %H:%M:%f', 'now')), hold_code = NULL, pend_class = NULL, pend_code = NULL, fence = fence + 1
WHERE msg_id = ? AND fence = ? AND client_key = ? AND status IN (0, 1, 3, 4, 5)
