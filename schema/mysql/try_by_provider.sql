-- try_by_provider: attempts with these ids of the provider. args: channel ids cols: iittitt write: no
SELECT id, msg_id, CAST(created_at AS CHAR) AS created_text, provider_id, leg, client_key, outcome
FROM {try} WHERE channel = ? AND provider_id IN ({ids})
