-- accept_older: the provider took an older attempt, which stands in {try}. args: close_ms msg_id fence cols: none
-- write: yes
UPDATE {send}
SET status = 2, due_at = COALESCE(first_sent_at, NOW(3)) + INTERVAL ? * 1000 MICROSECOND,
  first_sent_at = COALESCE(first_sent_at, NOW(3)), hold_code = NULL, pend_class = NULL, pend_code = NULL, fence = fence + 1
WHERE msg_id = ? AND fence = ? AND status IN (0, 1, 3, 4, 5)
