-- foreign_new: they are treated as new. args: msg_id fence cols: none write: yes
UPDATE {send}
SET status = 0, due_at = NULL, owner = NULL, incarnation = 0, try_no = 0, leg = 0, generation = 0, resend_no = 0, asked_type = NULL,
  channel = NULL, client_key = NULL, provider_id = NULL, first_sent_at = NULL, last_sent_at = NULL, hold_code = NULL, pend_class = NULL,
  pend_code = NULL, fence = 0
WHERE msg_id = ? AND fence = ? AND status <> 0
