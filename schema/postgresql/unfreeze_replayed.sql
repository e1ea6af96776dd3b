-- unfreeze_replayed: claims may go on when every listed agent has told what its journal knew. args: none cols: none
-- write: yes
UPDATE {meta} SET frozen = 'N', freeze_reason = NULL, frozen_at = NULL
WHERE id = 1 AND frozen = 'Y' AND NOT EXISTS (SELECT 1 FROM {agent} a WHERE a.replayed_epoch < {meta}.freeze_epoch)
