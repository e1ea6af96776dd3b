-- close_due: rows of one status at their close time. args: status close_ms limit cols: iiiitti write: no
SELECT msg_id, fence, leg, try_no, client_key, channel, status FROM {send}
WHERE status = ? AND due_at <= strftime('%Y-%m-%d %H:%M:%f', 'now') AND fence > 0
  AND (first_sent_at IS NULL OR first_sent_at <= strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', -? / 1000.0)))
  AND (pend_class IS NULL OR pend_class = 'OPEN')
ORDER BY due_at LIMIT ?
