-- result_drop: the row whose result stands now. args: msg_id fence cols: none write: yes
DELETE FROM {send} WHERE msg_id = CAST(? AS BIGINT) AND fence = CAST(? AS BIGINT)
