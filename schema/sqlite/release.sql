-- release: certain that nothing left. args: keeps keeps keeps keeps new_type raise msg_id fence owner cols:
-- none write: yes
UPDATE {send}
SET status = 0, due_at = NULL, first_sent_at = CASE WHEN ? = 1 THEN first_sent_at ELSE NULL END,
  last_sent_at = CASE WHEN ? = 1 THEN last_sent_at ELSE NULL END,
  channel = CASE WHEN ? = 1 THEN channel ELSE NULL END,
  pend_class = CASE WHEN ? = 1 THEN 'OPEN' ELSE NULL END, pend_code = NULL, hold_code = NULL,
  msg_type = COALESCE(?, msg_type), generation = generation + ?, fence = fence + 1
WHERE msg_id = ? AND fence = ? AND status IN (1, 3, 4) AND owner = ?
