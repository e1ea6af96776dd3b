-- purge_reports: reports that matched nothing in time. args: late_ms limit cols: i write: no
SELECT id FROM {report} WHERE received_at < NOW(3) + INTERVAL -? * 1000 MICROSECOND LIMIT ?
