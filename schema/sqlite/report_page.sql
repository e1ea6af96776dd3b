-- report_page: kept reports in order. args: after limit cols: itttttttitt write: no
SELECT id, channel, client_key, provider_id, class, code, provider_code, carrier, parts, done_at AS done_text, duplicate
FROM {report} WHERE id > ? ORDER BY id LIMIT ?
