-- leg_failed: the leg that this key was made for failed and was followed by another. args: msg_id client_key cols: i
-- write: no
SELECT 1 AS one FROM {history} WHERE msg_id = ? AND event = 'leg_failed' AND client_key = ? LIMIT 1
