-- close_due: rows of one status at their close time. args: status close_ms limit cols: iiiitti write: no
SELECT msg_id, fence, leg, try_no, client_key, channel, status FROM {send}
WHERE status = CAST(? AS BIGINT) AND due_at <= (SELECT clock_timestamp()) AND fence > 0
  AND (first_sent_at IS NULL OR first_sent_at <= (SELECT clock_timestamp() - CAST(? AS BIGINT) * INTERVAL '1 millisecond'))
  AND (pend_class IS NULL OR pend_class = 'OPEN')
ORDER BY due_at LIMIT ?
