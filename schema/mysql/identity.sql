-- identity: this server and this database. args: none cols: t write: no
SELECT CONCAT(@@hostname, ':', @@port, ':', @@server_id, ' ', db_identity) FROM {meta} WHERE id = 1
