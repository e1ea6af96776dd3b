-- lease_unknown: bytes of these rows may have left, until now: a clock that jumped ended the lease, perhaps, and the
-- quiet time must not be over with it. args: msg_id fence cols: none write: yes
UPDATE {send} SET status = 3, due_at = clock_timestamp(), last_sent_at = clock_timestamp(), fence = fence + 1
WHERE msg_id = CAST(? AS BIGINT) AND fence = CAST(? AS BIGINT) AND status = 1
