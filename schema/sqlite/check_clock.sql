-- check_clock: the database's clock in ms since 1970. args: none cols: i write: no
SELECT CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)
