-- accept_fill: the id of the provider, when it was accepted without one. args: channel provider_id msg_id client_key
-- cols: none write: yes
UPDATE {send} SET channel = COALESCE(channel, ?), provider_id = ?
WHERE msg_id = ? AND client_key = ? AND status = 2 AND provider_id IS NULL
