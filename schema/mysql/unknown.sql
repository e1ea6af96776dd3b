-- unknown: no answer: bytes may have left. args: channel delay_ms close_ms msg_id fence cols: none write: yes
UPDATE {send}
SET status = 3, channel = COALESCE(?, channel), due_at = LEAST(NOW(3) + INTERVAL ? * 1000 MICROSECOND, COALESCE(first_sent_at, NOW(3)) + INTERVAL ? * 1000 MICROSECOND),
  fence = fence + 1
WHERE msg_id = ? AND fence = ? AND status = 1
