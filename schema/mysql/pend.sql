-- pend: the result of this row alone cannot be written: the outcome is kept, the row is not sent again. args: class
-- code hold_code retry_ms msg_id fence cols: none write: yes
UPDATE {send}
SET status = 4, pend_class = ?, pend_code = ?, hold_code = ?, due_at = NOW(3) + INTERVAL ? * 1000 MICROSECOND, fence = fence + 1
WHERE msg_id = ? AND fence = ?
