-- hold: waits for an operator or a late report. args: hold_code close_ms msg_id fence cols: none write: yes
UPDATE {send}
SET status = 4, hold_code = ?, due_at = COALESCE(first_sent_at, clock_timestamp()) + CAST(? AS BIGINT) * INTERVAL '1 millisecond', fence = fence + 1
WHERE msg_id = CAST(? AS BIGINT) AND fence = CAST(? AS BIGINT) AND status = 3
