-- purge_reports: reports that matched nothing in time. args: late_ms limit cols: i write: no
SELECT id FROM {report} WHERE received_at < (SELECT clock_timestamp() - CAST(? AS BIGINT) * INTERVAL '1 millisecond') LIMIT ?
