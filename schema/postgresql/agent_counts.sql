-- agent_counts: the counts for people. args: waiting unknown held oldest_s agent incarnation cols: none write: yes
UPDATE {agent} SET waiting = ?, unknown_count = ?, held = ?, oldest_due_s = ? WHERE agent_id = ? AND incarnation = ?
