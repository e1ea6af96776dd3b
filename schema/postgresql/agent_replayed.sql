-- agent_replayed: this agent told what its journal knew. args: agent cols: none write: yes
UPDATE {agent} SET replayed_epoch = (SELECT freeze_epoch FROM {meta} WHERE id = 1) WHERE agent_id = ?
