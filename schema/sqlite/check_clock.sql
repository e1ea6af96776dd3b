-- check_clock: how many ms the database's clock is ahead of a UTC time. args: utc cols: i write: no
SELECT CAST(ROUND((julianday('now') - julianday(?)) * 86400000) AS INTEGER)
