-- try_close: a definite answer for an open attempt; try_no 0: for all that its key stands for. args: outcome code
-- provider_id msg_id client_key try_no try_no cols: none write: yes
UPDATE {try} SET outcome = ?, closed_at = NOW(3), code = ?, provider_id = COALESCE(?, provider_id)
WHERE msg_id = ? AND client_key = ? AND part = 0 AND (? = 0 OR try_no = ?) AND outcome IN ('OPEN', 'ACCEPTED')
