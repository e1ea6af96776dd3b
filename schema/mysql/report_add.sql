-- report_add: a report that matches nothing yet, once. args: channel client_key provider_id class code provider_code
-- carrier parts done_at duplicate client_key class provider_id
-- channel provider_id class cols: none write: yes
INSERT INTO {report} (channel, client_key, provider_id, class, code, provider_code, carrier, parts, done_at, duplicate)
SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
FROM {meta}
WHERE NOT EXISTS (SELECT 1 FROM {report} WHERE client_key = ? AND class = ?
    AND COALESCE(provider_id, '-') = COALESCE(?, '-'))
  AND NOT EXISTS (SELECT 1 FROM {report} WHERE channel = ? AND provider_id = ? AND class = ?)
