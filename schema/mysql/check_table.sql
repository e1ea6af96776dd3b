-- check_table: whether a table or view is there, and how it is stored. args: table cols: tttt
-- write: no
SELECT CASE table_type WHEN 'VIEW' THEN 'view' ELSE 'table' END, COALESCE(engine, ''),
  COALESCE(row_format, ''),
  COALESCE(table_collation, '')
FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name = ?
