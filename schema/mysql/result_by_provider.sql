-- result_by_provider: results with these ids of the provider. args: late_ms channel ids cols: ittittittit write: no
SELECT msg_id, CAST(created_at AS CHAR) AS created_text, client_key, leg, result_class, result_code, rev, channel, provider_id,
  CASE WHEN done_at > NOW(3) + INTERVAL -? * 1000 MICROSECOND THEN 1 ELSE 0 END AS is_recent, owner
FROM {result} WHERE channel = ? AND provider_id IN ({ids})
