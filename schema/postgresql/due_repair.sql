-- due_repair: a row of the agent that lost its due time. args: msg_id fence cols: none write: yes
UPDATE {send} SET due_at = clock_timestamp(), fence = fence + 1 WHERE msg_id = CAST(? AS BIGINT) AND fence = CAST(? AS BIGINT) AND due_at IS NULL AND status <> 0
