-- close_due: rows of one status at their close time. args: status close_ms limit cols: iiiitti write: no
SELECT msg_id, fence, leg, try_no, client_key, channel, status FROM {send} FORCE INDEX ({ix:send_due})
WHERE status = ? AND due_at <= NOW(3) AND fence > 0
  AND (first_sent_at IS NULL OR first_sent_at <= NOW(3) + INTERVAL -? * 1000 MICROSECOND)
  AND (pend_class IS NULL OR pend_class = 'OPEN')
ORDER BY due_at LIMIT ?
