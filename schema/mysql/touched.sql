-- touched: the journal knows a later attempt than the database. args: owner incarnation try_no leg generation
-- client_key channel delay_ms close_ms msg_id fence try_no cols: none write: yes
UPDATE {send}
SET status = 3, owner = ?, incarnation = ?, try_no = ?, leg = ?, generation = ?,
  client_key = COALESCE(?, client_key), channel = COALESCE(?, channel), due_at = LEAST(NOW(3) + INTERVAL ? * 1000 MICROSECOND, COALESCE(first_sent_at, NOW(3)) + INTERVAL ? * 1000 MICROSECOND),
  first_sent_at = COALESCE(first_sent_at, NOW(3)), last_sent_at = NOW(3), pend_class = NULL, pend_code = NULL, fence = fence + 1
WHERE msg_id = ? AND fence = ? AND status IN (0, 5) AND (fence = 0 OR try_no < ?)
