-- try_by_provider: attempts and parts with these ids of the provider. args: channel ids cols: iittitti write: no
SELECT id, msg_id, created_at AS created_text, provider_id, leg, client_key, outcome, part
FROM {try} WHERE channel = ? AND provider_id IN ({ids})
