-- part_find: the part of this attempt with that id, one that nothing was said about first. args: msg_id
-- client_key channel provider_id cols: ii write: no
SELECT id, leg FROM {try}
WHERE msg_id = ? AND client_key = ? AND channel = ? AND provider_id = ? AND part > 0
ORDER BY CASE WHEN outcome = 'ACCEPTED' THEN 0 ELSE 1 END, part
