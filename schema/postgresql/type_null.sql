-- type_null: waiting rows without a type. args: limit cols: iii write: no
SELECT msg_id, fence, COALESCE(priority, 1) FROM {send} WHERE status = 0 AND msg_type IS NULL LIMIT ?
