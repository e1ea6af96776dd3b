-- result_by_msg: results of these messages. args: late_ms ids cols: ittittittit write: no
SELECT msg_id, CAST(created_at AS CHAR) AS created_text, client_key, leg, result_class, result_code, rev, channel, provider_id,
  CASE WHEN done_at > NOW(3) + INTERVAL -? * 1000 MICROSECOND THEN 1 ELSE 0 END AS is_recent, owner
FROM {result} WHERE msg_id IN ({ids})
