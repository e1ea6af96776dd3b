-- lockable: those of these rows that nobody else has locked. args: ids cols: i write: no
SELECT msg_id FROM {send} WHERE msg_id IN ({ids}) FOR UPDATE SKIP LOCKED
