-- try_add: the attempt of a row becomes one of {try}. args: outcome outcome code msg_id fence cols: none write: yes
INSERT INTO {try} (msg_id, created_at, leg, try_no, generation, client_key, channel, provider_id, sent_at, outcome,
  closed_at, code)
SELECT msg_id, created_at, leg, try_no, generation, client_key, channel, provider_id, first_sent_at, CAST(? AS VARCHAR),
  CASE WHEN CAST(? AS VARCHAR) = 'OPEN' THEN NULL ELSE clock_timestamp() END, CAST(? AS VARCHAR)
FROM {send} WHERE msg_id = ? AND fence = ?
