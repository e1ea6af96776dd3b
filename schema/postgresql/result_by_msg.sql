-- result_by_msg: results of these messages. args: late_ms ids cols: ittittittit write: no
SELECT msg_id, CAST(created_at AS TEXT) AS created_text, client_key, leg, result_class, result_code, rev, channel, provider_id,
  CASE WHEN done_at > (SELECT clock_timestamp() - CAST(? AS BIGINT) * INTERVAL '1 millisecond') THEN 1 ELSE 0 END AS is_recent, owner
FROM {result} WHERE msg_id IN ({ids})
