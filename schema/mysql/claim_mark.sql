-- claim_mark: 0 -> 1 for those picked rows that are still READY; values that an application wrote into the columns
-- of the agent (fence 0) are reset. args: owner incarnation lease_ms type priority ids cols: none write: yes
UPDATE {send} FORCE INDEX (PRIMARY)
SET status = 1, owner = ?, incarnation = ?, due_at = NOW(3) + INTERVAL ? * 1000 MICROSECOND,
  try_no = CASE WHEN fence = 0 THEN 1 ELSE try_no + 1 END,
  leg = CASE WHEN fence = 0 THEN 0 ELSE leg END,
  generation = CASE WHEN fence = 0 THEN 0 ELSE generation END,
  resend_no = CASE WHEN fence = 0 THEN 0 ELSE resend_no END,
  asked_type = CASE WHEN fence = 0 OR asked_type IS NULL THEN msg_type ELSE asked_type END,
  client_key = CASE WHEN fence = 0 THEN NULL ELSE client_key END,
  channel = CASE WHEN fence = 0 THEN NULL ELSE channel END,
  provider_id = CASE WHEN fence = 0 THEN NULL ELSE provider_id END,
  first_sent_at = CASE WHEN fence = 0 OR first_sent_at IS NULL THEN NOW(3) ELSE first_sent_at END,
  last_sent_at = NOW(3), hold_code = NULL,
  pend_class = CASE WHEN fence > 0 AND pend_class = 'OPEN' THEN pend_class ELSE NULL END, pend_code = NULL,
  fence = fence + 1
WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= NOW(3) AND msg_id IN ({ids})
