-- resend: 3 -> 1, when the lease ends before the close time. args: owner incarnation lease_ms raise pend_class
-- msg_id fence close_ms lease_ms cols: none write: yes
UPDATE {send}
SET status = 1, owner = ?, incarnation = ?, due_at = NOW(3) + INTERVAL ? * 1000 MICROSECOND, try_no = try_no + 1,
  generation = generation + ?, resend_no = resend_no + 1, last_sent_at = NOW(3), pend_class = ?, pend_code = NULL, hold_code = NULL, fence = fence + 1
WHERE msg_id = ? AND status = 3 AND fence = ?
  AND COALESCE(first_sent_at, NOW(3)) + INTERVAL ? * 1000 MICROSECOND > NOW(3) + INTERVAL ? * 1000 MICROSECOND
