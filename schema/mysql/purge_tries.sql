-- purge_tries: attempts that no report can ask for any more. args: late_ms after limit cols: ii write: no
SELECT t.id, CASE WHEN COALESCE(t.sent_at, t.created_at) < NOW(3) + INTERVAL -? * 1000 MICROSECOND AND NOT EXISTS (SELECT 1 FROM {send} s WHERE s.msg_id = t.msg_id)
  THEN 1 ELSE 0 END AS is_old
FROM {try} t WHERE t.id > ? ORDER BY t.id LIMIT ?
