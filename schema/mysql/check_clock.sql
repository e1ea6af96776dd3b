-- check_clock: the database's clock in ms since 1970. args: none cols: i write: no
SELECT CAST(UNIX_TIMESTAMP(CURRENT_TIMESTAMP(3)) * 1000 AS SIGNED)
