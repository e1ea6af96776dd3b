-- pend_due: HELD rows with an outcome whose result is tried again. args: limit cols: iiiittttt write: no
SELECT msg_id, fence, leg, try_no, client_key, channel, pend_class, pend_code, provider_id FROM {send}
WHERE status = 4 AND due_at <= (SELECT clock_timestamp()) AND pend_class IN ('OK', 'FAIL', 'UNKNOWN') ORDER BY due_at LIMIT ?
