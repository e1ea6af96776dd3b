-- admin_ids_by_key: the messages with a request key. args: req_key req_key cols: i write: no
SELECT msg_id FROM {send} WHERE req_key = ? UNION SELECT msg_id FROM {result} WHERE req_key = ? ORDER BY 1
