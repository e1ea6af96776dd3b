-- purge_reports: reports that matched nothing in time. args: late_ms limit cols: i write: no
SELECT id FROM {report} WHERE received_at < strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', -? / 1000.0)) LIMIT ?
