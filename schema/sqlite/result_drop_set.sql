-- result_drop_set: the rows whose results stand now. args: rows cols: none write: yes
DELETE FROM {send}
WHERE (msg_id, fence) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))
