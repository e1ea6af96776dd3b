-- check_clock: the database's clock in ms since 1970. args: none cols: i write: no
SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)
