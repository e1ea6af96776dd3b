-- keep_waiting: one attempt ended and an older one is open. args: msg_id fence cols: none write: yes
UPDATE {send}
SET due_at = CASE WHEN status = 1 THEN clock_timestamp() ELSE due_at END,
  generation = CASE WHEN status IN (0, 5) THEN generation + 1 ELSE generation END,
  status = CASE WHEN status = 1 THEN 3 ELSE status END, fence = fence + 1
WHERE msg_id = ? AND fence = ?
