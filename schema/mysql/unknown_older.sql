-- unknown_older: a refusal of our own while an older attempt is open: the row waits for that one. args: msg_id fence
-- cols: none write: yes
UPDATE {send}
SET status = 3, due_at = NOW(3), fence = fence + 1
WHERE msg_id = ? AND fence = ? AND status IN (0, 1, 5)
