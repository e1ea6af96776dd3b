-- silent_mark: it is being asked for. args: mark msg_id fence mark cols: none write: yes
UPDATE {send} SET hold_code = ? WHERE msg_id = CAST(? AS BIGINT) AND fence = CAST(? AS BIGINT) AND status = 2 AND (hold_code IS NULL OR CAST(hold_code AS VARCHAR) < CAST(? AS VARCHAR))
