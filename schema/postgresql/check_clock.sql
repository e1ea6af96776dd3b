-- check_clock: how many ms the database's clock is ahead of a UTC time. args: utc cols: i write: no
SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp() - CAST(CAST(? AS TEXT) || '+00'
  AS TIMESTAMPTZ)) * 1000 AS BIGINT)
