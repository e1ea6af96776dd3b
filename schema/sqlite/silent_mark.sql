-- silent_mark: it is being asked for. args: mark msg_id fence mark cols: none write: yes
UPDATE {send} SET hold_code = ? WHERE msg_id = ? AND fence = ? AND status = 2 AND (hold_code IS NULL OR hold_code < ?)
