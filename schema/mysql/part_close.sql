-- part_close: the first final word about a part. args: outcome code id cols: none write: yes
UPDATE {try} SET outcome = ?, closed_at = NOW(3), code = ? WHERE id = ? AND outcome = 'ACCEPTED'
