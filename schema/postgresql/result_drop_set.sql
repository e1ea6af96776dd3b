-- result_drop_set: the rows whose results stand now. args: rows cols: none write: yes
DELETE FROM {send} AS s
USING (SELECT CAST(j ->> 0 AS BIGINT) AS msg_id, CAST(j ->> 1 AS BIGINT) AS fence
  FROM json_array_elements(CAST(? AS JSON)) AS j) AS v
WHERE s.msg_id = v.msg_id AND s.fence = v.fence
