-- try_accept: an older attempt was accepted. args: provider_id channel msg_id client_key cols: none write: yes
UPDATE {try} SET outcome = 'ACCEPTED', provider_id = COALESCE(?, provider_id), channel = COALESCE(?, channel)
WHERE msg_id = ? AND client_key = ? AND part = 0 AND outcome IN ('OPEN', 'ACCEPTED')
