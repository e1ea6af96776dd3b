-- check_clock: how many ms the database's clock is ahead of a UTC time. args: utc cols: i write: no
SELECT TIMESTAMPDIFF(MICROSECOND, CAST(? AS DATETIME(3)), UTC_TIMESTAMP(3)) DIV 1000
