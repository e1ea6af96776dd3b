-- count_status: rows in a status, counted up to a limit. args: status limit cols: i write: no
SELECT COUNT(*) FROM (SELECT 1 AS one FROM {send} WHERE status = CAST(? AS BIGINT) LIMIT CAST(? AS BIGINT)) x
