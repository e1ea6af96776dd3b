-- admin_reports: kept reports about the attempts of one message. args: msg_id msg_id msg_id cols: itttttt write: no
SELECT COALESCE(CAST(FLOOR(EXTRACT(EPOCH FROM p.received_at) * 1000) AS BIGINT), 0) AS at_ms,
  p.class, p.code, p.provider_code, p.client_key, p.channel, p.provider_id
FROM {report} p JOIN (SELECT client_key, channel, provider_id FROM {send} WHERE msg_id = ?
  UNION SELECT client_key, channel, provider_id FROM {try} WHERE msg_id = ?
  UNION SELECT client_key, channel, provider_id FROM {result} WHERE msg_id = ?) a
  ON p.client_key = a.client_key OR (p.channel = a.channel AND p.provider_id = a.provider_id)
ORDER BY p.id
