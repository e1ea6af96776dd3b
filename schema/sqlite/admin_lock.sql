-- admin_lock: the status of these rows, held still till the end of the transaction. args: ids cols: ii write: no
SELECT msg_id, status FROM {send} WHERE msg_id IN ({ids}) ORDER BY msg_id
