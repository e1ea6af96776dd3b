-- deferred_ready: 5 -> 0. args: msg_id fence cols: none write: yes
UPDATE {send} SET status = 0, due_at = NULL, fence = fence + 1
WHERE msg_id = ? AND fence = ? AND status = 5
