-- pend: the result of this row alone cannot be written: the outcome is kept, the row is not sent again. args: class
-- code hold_code retry_ms msg_id fence cols: none write: yes
UPDATE {send}
SET status = 4, pend_class = ?, pend_code = ?, hold_code = ?, due_at = clock_timestamp() + CAST(? AS BIGINT) * INTERVAL '1 millisecond', fence = fence + 1
WHERE msg_id = ? AND fence = ?
