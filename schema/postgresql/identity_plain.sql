-- identity_plain: the same where the server does not tell all. args: none cols: t write: no
SELECT current_database() || ' ' || db_identity FROM {meta} WHERE id = 1
