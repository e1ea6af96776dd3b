-- type_rows: waiting rows whose type is written in one way. args: type limit cols: iii write: no
SELECT msg_id, fence, COALESCE(priority, 1) FROM {send} WHERE status = 0 AND msg_type = ? LIMIT ?
