-- fallback_next: a leg failed for certain: the next one begins. args: type expire_ms msg_id fence cols: none write:
-- yes
UPDATE {send}
SET status = 0, leg = leg + 1, msg_type = ?, generation = 0, resend_no = 0, client_key = NULL, provider_id = NULL, channel = NULL,
  first_sent_at = NULL, last_sent_at = NULL, due_at = NULL, expire_at = strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', ? / 1000.0)), hold_code = NULL, pend_class = NULL,
  pend_code = NULL, fence = fence + 1
WHERE msg_id = ? AND fence = ? AND status IN (1, 2, 3, 4)
