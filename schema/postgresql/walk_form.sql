-- walk_form: an oddly written row is brought to its form. args: type priority msg_id fence cols: none write: yes
UPDATE {send} SET msg_type = ?, priority = ?, send_at = COALESCE(send_at, clock_timestamp())
WHERE msg_id = ? AND fence = ? AND status IN (0, 5)
