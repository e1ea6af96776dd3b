-- unfreeze: claims may go on. args: none cols: none write: yes
UPDATE {meta} SET frozen = 'N', freeze_reason = NULL, frozen_at = NULL WHERE id = 1 AND frozen = 'Y'
