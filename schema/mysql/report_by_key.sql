-- report_by_key: kept reports with these keys. args: ids cols: itttttttitt write: no
SELECT id, channel, client_key, provider_id, class, code, provider_code, carrier, parts, CAST(done_at AS CHAR) AS done_text, duplicate
FROM {report} WHERE client_key IN ({ids})
