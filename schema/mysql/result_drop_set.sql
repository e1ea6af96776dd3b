-- result_drop_set: the rows whose results stand now. args: rows cols: none write: yes
DELETE s FROM JSON_TABLE(?, '$[*]' COLUMNS (msg_id BIGINT PATH '$[0]', fence BIGINT PATH '$[1]')) AS v
STRAIGHT_JOIN {send} AS s ON s.msg_id = v.msg_id AND s.fence = v.fence
