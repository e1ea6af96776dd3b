-- freeze: no agent claims until it is lifted. args: reason cols: none write: yes
UPDATE {meta} SET frozen = 'Y', freeze_reason = ?, frozen_at = clock_timestamp(), freeze_epoch = freeze_epoch + 1 WHERE id = 1 AND frozen = 'N'
