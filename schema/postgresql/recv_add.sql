-- recv_add: a message from a phone, once when it has an id of the provider. args: channel provider_id sender recipient
-- body reference parts part sent_at channel provider_id cols: none write: yes
INSERT INTO {recv} (channel, provider_id, sender, recipient, body, reference, parts, part, sent_at)
SELECT CAST(? AS VARCHAR), CAST(? AS VARCHAR), CAST(? AS VARCHAR), CAST(? AS VARCHAR), CAST(? AS VARCHAR), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS TIMESTAMPTZ)
FROM {meta}
WHERE NOT EXISTS (SELECT 1 FROM {recv} WHERE channel = ? AND provider_id = ?)
