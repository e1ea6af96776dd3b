-- admin_requeue: an operator wants a held message sent anew that certainly failed. args: generation client_key msg_id
-- fence cols: none write: yes
UPDATE {send}
SET status = 0, due_at = NULL, generation = ?, client_key = ?, channel = NULL, provider_id = NULL, first_sent_at = NULL,
  last_sent_at = NULL, pend_class = NULL, pend_code = NULL, hold_code = NULL, fence = fence + 1
WHERE msg_id = ? AND fence = ? AND status = 4
