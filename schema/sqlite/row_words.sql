-- row_words: what a client key is made of. args: cap msg_id cols: tttt write: no
SELECT created_at AS created_text, SUBSTR(recipient, 1, 255) AS recipient, SUBSTR(body, 1, ?) AS body_cut, client_key FROM {send} WHERE msg_id = ?
