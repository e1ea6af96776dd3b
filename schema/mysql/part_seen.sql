-- part_seen: one part of several was reported upon; whoever comes second has to see the first. args: msg_id fence
-- cols: none write: yes
UPDATE {send} SET fence = fence + 1 WHERE msg_id = ? AND fence = ?
