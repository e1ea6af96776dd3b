-- admin_resend: an operator wants a message of unknown outcome sent again; what stays open is remembered. args:
-- generation client_key channel pend_class msg_id fence cols: none write: yes
UPDATE {send}
SET status = 0, due_at = NULL, generation = CAST(? AS SMALLINT), client_key = ?, channel = ?, provider_id = NULL,
  pend_class = ?, pend_code = NULL, hold_code = NULL, fence = fence + 1
WHERE msg_id = CAST(? AS BIGINT) AND fence = CAST(? AS BIGINT) AND status IN (3, 4)
