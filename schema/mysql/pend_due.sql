-- pend_due: HELD rows with an outcome whose result is tried again. args: limit cols: iiiittttt write: no
SELECT msg_id, fence, leg, try_no, client_key, channel, pend_class, pend_code, provider_id FROM {send} FORCE INDEX ({ix:send_due})
WHERE status = 4 AND due_at <= NOW(3) AND pend_class IN ('OK', 'FAIL', 'UNKNOWN') ORDER BY due_at LIMIT ?
