-- foreign_due: rows that an application inserted with the columns of the agent set, by status and due time. args:
-- status limit cols: iit write: no
SELECT msg_id, fence, client_key FROM {send}
WHERE status = ? AND due_at <= strftime('%Y-%m-%d %H:%M:%f', 'now') AND (fence = 0 OR client_key IS NULL OR LENGTH(client_key) <> 30)
ORDER BY due_at LIMIT ?
