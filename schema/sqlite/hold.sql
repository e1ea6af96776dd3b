-- hold: waits for an operator or a late report. args: hold_code close_ms msg_id fence cols: none write: yes
UPDATE {send}
SET status = 4, hold_code = ?, due_at = strftime('%Y-%m-%d %H:%M:%f', COALESCE(first_sent_at, strftime('%Y-%m-%d %H:%M:%f', 'now')), printf('%+.3f seconds', ? / 1000.0)), fence = fence + 1
WHERE msg_id = ? AND fence = ? AND status = 3
