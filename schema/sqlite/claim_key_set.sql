-- claim_key_set: key, resolved type and channel of attempts claimed in this transaction, as claim_key for many
-- rows. args: rows cols: none write: yes
UPDATE {send} AS s
SET client_key = v.client_key, msg_type = COALESCE(v.msg_type, s.msg_type), channel = COALESCE(v.channel, s.channel)
FROM (SELECT json_extract(value, '$[0]') AS client_key, json_extract(value, '$[1]') AS msg_type, json_extract(value, '$[2]') AS channel,
    json_extract(value, '$[3]') AS msg_id, json_extract(value, '$[4]') AS fence
  FROM json_each(?)) AS v
WHERE s.msg_id = v.msg_id AND s.fence = v.fence
