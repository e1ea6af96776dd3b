-- history_add: what is out of the ordinary. args: msg_id created_at event who from_status to_status leg try_no code
-- client_key channel reason cols: none write: yes
INSERT INTO {history} (msg_id, created_at, event, who, from_status, to_status, leg, try_no, code, client_key, channel, reason)
VALUES (?, CAST(? AS TIMESTAMPTZ), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
