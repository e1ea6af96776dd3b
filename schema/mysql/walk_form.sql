-- walk_form: an oddly written row is brought to its form. args: type priority msg_id fence cols: none write: yes
UPDATE {send} SET msg_type = ?, priority = ?, send_at = COALESCE(send_at, NOW(3))
WHERE msg_id = ? AND fence = ? AND status IN (0, 5)
