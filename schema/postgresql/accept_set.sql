-- accept_set: the provider took these attempts, as accept for many rows; the cast keeps the planner from the
-- index that begins with status. args: rows cols: none write: yes
UPDATE {send} AS s
SET status = 2, channel = COALESCE(v.channel, s.channel), provider_id = COALESCE(v.provider_id, s.provider_id),
  due_at = COALESCE(s.first_sent_at, clock_timestamp()) + CAST(v.close_ms AS BIGINT) * INTERVAL '1 millisecond',
  first_sent_at = COALESCE(s.first_sent_at, clock_timestamp()), hold_code = NULL, pend_class = NULL, pend_code = NULL, fence = s.fence + 1
FROM (SELECT CAST(j ->> 0 AS VARCHAR) AS channel, CAST(j ->> 1 AS VARCHAR) AS provider_id, CAST(j ->> 2 AS BIGINT) AS close_ms,
    CAST(j ->> 3 AS BIGINT) AS msg_id, CAST(j ->> 4 AS BIGINT) AS fence, CAST(j ->> 5 AS VARCHAR) AS client_key
  FROM json_array_elements(CAST(? AS JSON)) AS j) AS v
WHERE s.msg_id = v.msg_id AND s.fence = v.fence AND s.client_key = v.client_key AND CAST(s.status AS INT) IN (0, 1, 3, 4, 5)
