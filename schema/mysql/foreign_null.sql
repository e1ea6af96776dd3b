-- foreign_null: the same, without a due time. args: status limit cols: iit write: no
SELECT msg_id, fence, client_key FROM {send} FORCE INDEX ({ix:send_due})
WHERE status = ? AND due_at IS NULL LIMIT ?
