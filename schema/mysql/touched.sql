-- touched: the journal knows a later attempt than the database, or another one, perhaps of the next leg. args: owner
-- incarnation try_no type leg generation client_key channel new_leg delay_ms new_leg close_ms new_leg msg_id fence
-- cols: none write: yes
UPDATE {send}
SET status = 3, owner = ?, incarnation = ?, try_no = ?,
  asked_type = CASE WHEN fence = 0 OR asked_type IS NULL THEN msg_type ELSE asked_type END,
  msg_type = COALESCE(?, msg_type), leg = ?, generation = ?,
  client_key = COALESCE(?, client_key), channel = COALESCE(?, channel), provider_id = NULL, hold_code = NULL,
  resend_no = CASE WHEN ? = 1 OR fence = 0 THEN 0 ELSE resend_no END,
  due_at = LEAST(NOW(3) + INTERVAL ? * 1000 MICROSECOND,
    CASE WHEN ? = 1 OR fence = 0 OR first_sent_at IS NULL THEN NOW(3) ELSE first_sent_at END + INTERVAL ? * 1000 MICROSECOND),
  first_sent_at = CASE WHEN ? = 1 OR fence = 0 OR first_sent_at IS NULL THEN NOW(3) ELSE first_sent_at END,
  last_sent_at = NOW(3), pend_class = NULL, pend_code = NULL, fence = fence + 1
WHERE msg_id = ? AND fence = ? AND status IN (0, 1, 3, 4, 5)
