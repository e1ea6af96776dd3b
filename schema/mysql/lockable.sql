-- lockable: those of these rows that nobody else has locked; MySQL 8, MariaDB 10.6. args: ids cols: i write: no
SELECT msg_id FROM {send} FORCE INDEX (PRIMARY) WHERE msg_id IN ({ids}) FOR UPDATE SKIP LOCKED
