-- admin_result_ids: which of these have a result. args: ids cols: i write: no
SELECT DISTINCT msg_id FROM {result} WHERE msg_id IN ({ids})
