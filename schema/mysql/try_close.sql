-- try_close: a definite answer for an open attempt. args: outcome code provider_id msg_id client_key cols: none
-- write: yes
UPDATE {try} SET outcome = ?, closed_at = NOW(3), code = ?, provider_id = COALESCE(?, provider_id)
WHERE msg_id = ? AND client_key = ? AND outcome IN ('OPEN', 'ACCEPTED')
