-- touched: the journal knows a later attempt than the database, or another one, perhaps of the next leg. args: owner
-- incarnation try_no type leg generation client_key channel new_leg delay_ms new_leg close_ms new_leg msg_id fence
-- cols: none write: yes
UPDATE {send}
SET status = 3, owner = ?, incarnation = ?, try_no = ?,
  asked_type = CASE WHEN fence = 0 OR asked_type IS NULL THEN msg_type ELSE asked_type END,
  msg_type = COALESCE(?, msg_type), leg = ?, generation = ?,
  client_key = COALESCE(?, client_key), channel = COALESCE(?, channel), provider_id = NULL, hold_code = NULL,
  resend_no = CASE WHEN CAST(? AS BIGINT) = 1 OR fence = 0 THEN 0 ELSE resend_no END,
  due_at = LEAST(clock_timestamp() + CAST(? AS BIGINT) * INTERVAL '1 millisecond',
    CASE WHEN CAST(? AS BIGINT) = 1 OR fence = 0 OR first_sent_at IS NULL THEN clock_timestamp() ELSE first_sent_at END + CAST(? AS BIGINT) * INTERVAL '1 millisecond'),
  first_sent_at = CASE WHEN CAST(? AS BIGINT) = 1 OR fence = 0 OR first_sent_at IS NULL THEN clock_timestamp() ELSE first_sent_at END,
  last_sent_at = clock_timestamp(), pend_class = NULL, pend_code = NULL, fence = fence + 1
WHERE msg_id = CAST(? AS BIGINT) AND fence = CAST(? AS BIGINT) AND status IN (0, 1, 3, 4, 5)
