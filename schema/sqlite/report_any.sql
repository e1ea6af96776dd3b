-- report_any: whether any report is kept. args: none cols: i write: no
SELECT 1 FROM {report} LIMIT 1
