-- result_same: the result that stands in the way of a row: its key. args: msg_id cols: tt write: no
SELECT r.client_key, s.client_key FROM {send} s JOIN {result} r ON r.msg_id = s.msg_id AND r.created_at = s.created_at
WHERE s.msg_id = ?
