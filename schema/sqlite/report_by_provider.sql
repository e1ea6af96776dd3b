-- report_by_provider: kept reports with these ids of the provider. args: channel ids cols: itttttttitt write: no
SELECT id, channel, client_key, provider_id, class, code, provider_code, carrier, parts, done_at AS done_text, duplicate
FROM {report} WHERE channel = ? AND provider_id IN ({ids})
