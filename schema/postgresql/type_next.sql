-- type_next: the next way in which a type is written among waiting rows. args: after cols: t write: no
SELECT msg_type FROM {send} WHERE status = 0 AND msg_type > ? ORDER BY msg_type LIMIT 1
