-- admin_ids_by_group: messages of a group that are not done, by their id. args: after group limit cols: i write: no
SELECT msg_id FROM {send} WHERE msg_id > ? AND group_key = ? ORDER BY msg_id LIMIT ?
