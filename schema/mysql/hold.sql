-- hold: waits for an operator or a late report. args: hold_code close_ms msg_id fence cols: none write: yes
UPDATE {send}
SET status = 4, hold_code = ?, due_at = COALESCE(first_sent_at, NOW(3)) + INTERVAL ? * 1000 MICROSECOND, fence = fence + 1
WHERE msg_id = ? AND fence = ? AND status = 3
