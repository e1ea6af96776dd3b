-- unknown_take: they become ours for the next look. args: owner incarnation delay_ms close_ms msg_id fence cols:
-- none write: yes
UPDATE {send} SET owner = ?, incarnation = ?, due_at = LEAST(clock_timestamp() + CAST(? AS BIGINT) * INTERVAL '1 millisecond', COALESCE(first_sent_at, clock_timestamp()) + CAST(? AS BIGINT) * INTERVAL '1 millisecond'), fence = fence + 1
WHERE msg_id = CAST(? AS BIGINT) AND fence = CAST(? AS BIGINT) AND status = 3
