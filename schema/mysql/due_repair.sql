-- due_repair: a row of the agent that lost its due time. args: msg_id fence cols: none write: yes
UPDATE {send} SET due_at = NOW(3), fence = fence + 1 WHERE msg_id = ? AND fence = ? AND due_at IS NULL AND status <> 0
