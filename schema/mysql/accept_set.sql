-- accept_set: the provider took these attempts, as accept for many rows. args: rows cols: none write: yes
UPDATE JSON_TABLE(?, '$[*]' COLUMNS (channel VARCHAR(200) PATH '$[0]', provider_id VARCHAR(200) PATH '$[1]', close_ms BIGINT PATH '$[2]',
    msg_id BIGINT PATH '$[3]', fence BIGINT PATH '$[4]', client_key VARCHAR(200) PATH '$[5]')) AS v
STRAIGHT_JOIN {send} AS s ON s.msg_id = v.msg_id AND s.fence = v.fence AND s.client_key = v.client_key
SET s.status = 2, s.channel = COALESCE(v.channel, s.channel), s.provider_id = COALESCE(v.provider_id, s.provider_id),
  s.due_at = COALESCE(s.first_sent_at, NOW(3)) + INTERVAL v.close_ms * 1000 MICROSECOND,
  s.first_sent_at = COALESCE(s.first_sent_at, NOW(3)), s.hold_code = NULL, s.pend_class = NULL, s.pend_code = NULL, s.fence = s.fence + 1
WHERE s.status IN (0, 1, 3, 4, 5)
