-- row_words: what a client key is made of. args: cap msg_id cols: tttt write: no
SELECT CAST(created_at AS CHAR) AS created_text, recipient AS recipient, SUBSTR(body, 1, ?) AS body_cut, client_key FROM {send} WHERE msg_id = ?
