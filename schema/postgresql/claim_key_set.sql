-- claim_key_set: key, resolved type and channel of attempts claimed in this transaction, as claim_key for many
-- rows. args: rows cols: none write: yes
UPDATE {send} AS s
SET client_key = v.client_key, msg_type = COALESCE(v.msg_type, s.msg_type), channel = COALESCE(v.channel, s.channel)
FROM (SELECT CAST(j ->> 0 AS VARCHAR) AS client_key, CAST(j ->> 1 AS VARCHAR) AS msg_type, CAST(j ->> 2 AS VARCHAR) AS channel,
    CAST(j ->> 3 AS BIGINT) AS msg_id, CAST(j ->> 4 AS BIGINT) AS fence
  FROM json_array_elements(CAST(? AS JSON)) AS j) AS v
WHERE s.msg_id = v.msg_id AND s.fence = v.fence
