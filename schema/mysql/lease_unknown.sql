-- lease_unknown: bytes of these rows may have left, until now: a clock that jumped ended the lease, perhaps, and the
-- quiet time must not be over with it. args: msg_id fence cols: none write: yes
UPDATE {send} SET status = 3, due_at = NOW(3), last_sent_at = NOW(3), fence = fence + 1
WHERE msg_id = ? AND fence = ? AND status = 1
