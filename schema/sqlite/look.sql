-- look: the next look at an unknown row. args: delay_ms close_ms msg_id fence cols: none write: yes
UPDATE {send}
SET due_at = MIN(strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', ? / 1000.0)), strftime('%Y-%m-%d %H:%M:%f', COALESCE(first_sent_at, strftime('%Y-%m-%d %H:%M:%f', 'now')), printf('%+.3f seconds', ? / 1000.0))), fence = fence + 1
WHERE msg_id = ? AND fence = ? AND status = 3
