-- accept_older: the provider took an older attempt, which stands in {try}. args: close_ms msg_id fence cols: none
-- write: yes
UPDATE {send}
SET status = 2, due_at = strftime('%Y-%m-%d %H:%M:%f', COALESCE(first_sent_at, strftime('%Y-%m-%d %H:%M:%f', 'now')), printf('%+.3f seconds', ? / 1000.0)),
  first_sent_at = COALESCE(first_sent_at, strftime('%Y-%m-%d %H:%M:%f', 'now')), hold_code = NULL, pend_class = NULL, pend_code = NULL, fence = fence + 1
WHERE msg_id = ? AND fence = ? AND status IN (0, 1, 3, 4, 5)
