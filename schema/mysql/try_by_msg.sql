-- try_by_msg: attempts of these messages, without their parts. args: ids cols: iititt write: no
SELECT id, msg_id, CAST(created_at AS CHAR) AS created_text, leg, client_key, outcome
FROM {try} WHERE msg_id IN ({ids}) AND part = 0
