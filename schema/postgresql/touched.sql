-- touched: the journal knows a later attempt than the database. args: owner incarnation try_no leg generation
-- client_key channel delay_ms close_ms msg_id fence try_no cols: none write: yes
UPDATE {send}
SET status = 3, owner = ?, incarnation = ?, try_no = ?, leg = ?, generation = ?,
  client_key = COALESCE(?, client_key), channel = COALESCE(?, channel), due_at = LEAST(clock_timestamp() + CAST(? AS BIGINT) * INTERVAL '1 millisecond', COALESCE(first_sent_at, clock_timestamp()) + CAST(? AS BIGINT) * INTERVAL '1 millisecond'),
  first_sent_at = COALESCE(first_sent_at, clock_timestamp()), last_sent_at = clock_timestamp(), pend_class = NULL, pend_code = NULL, fence = fence + 1
WHERE msg_id = CAST(? AS BIGINT) AND fence = CAST(? AS BIGINT) AND status IN (0, 5) AND (fence = 0 OR try_no < CAST(? AS BIGINT))
