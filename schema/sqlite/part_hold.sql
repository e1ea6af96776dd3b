-- part_hold: the parts of an attempt whose row is gone or has its result, held still till the end of the
-- transaction. args: msg_id client_key cols: i write: no
SELECT id FROM {try} WHERE msg_id = ? AND client_key = ? AND part > 0 ORDER BY id
