-- lease_unknown: bytes of these rows may have left. args: msg_id fence cols: none write: yes
UPDATE {send} SET status = 3, due_at = strftime('%Y-%m-%d %H:%M:%f', 'now'), fence = fence + 1
WHERE msg_id = ? AND fence = ? AND status = 1
