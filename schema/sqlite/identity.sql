-- identity: this server and this database. args: none cols: t write: no
SELECT db_identity FROM {meta} WHERE id = 1
