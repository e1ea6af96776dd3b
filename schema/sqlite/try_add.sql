-- try_add: the attempt of a row becomes one of {try}. args: outcome outcome code msg_id fence cols: none write: yes
INSERT INTO {try} (msg_id, created_at, leg, try_no, generation, client_key, channel, provider_id, sent_at, outcome,
  closed_at, code)
SELECT msg_id, created_at, leg, try_no, generation, client_key, channel, provider_id, first_sent_at, ?,
  CASE WHEN ? = 'OPEN' THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', 'now') END, ?
FROM {send} WHERE msg_id = ? AND fence = ?
