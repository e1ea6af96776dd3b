-- part_count: the parts of one attempt: all, delivered, failed. args: msg_id client_key cols: iii write: no
SELECT COUNT(*) AS all_parts, COUNT(CASE WHEN outcome = 'DELIVERED' THEN 1 END) AS delivered,
  COUNT(CASE WHEN outcome = 'FAILED' THEN 1 END) AS failed
FROM {try} WHERE msg_id = ? AND client_key = ? AND part > 0
