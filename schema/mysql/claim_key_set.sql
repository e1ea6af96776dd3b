-- claim_key_set: key, resolved type and channel of attempts claimed in this transaction, as claim_key for many
-- rows. args: rows cols: none write: yes
UPDATE JSON_TABLE(?, '$[*]' COLUMNS (client_key VARCHAR(200) PATH '$[0]', msg_type VARCHAR(200) PATH '$[1]', channel VARCHAR(200) PATH '$[2]',
    msg_id BIGINT PATH '$[3]', fence BIGINT PATH '$[4]')) AS v
STRAIGHT_JOIN {send} AS s ON s.msg_id = v.msg_id AND s.fence = v.fence
SET s.client_key = v.client_key, s.msg_type = COALESCE(v.msg_type, s.msg_type), s.channel = COALESCE(v.channel, s.channel)
