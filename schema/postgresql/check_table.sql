-- check_table: whether a table or view is there, and how it is stored. args: table cols: tttt
-- write: no
SELECT CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END, CASE c.relpersistence WHEN 'p'
  THEN '' ELSE 'UNLOGGED' END,
  '', ''
FROM pg_catalog.pg_class c
WHERE CAST(c.relname AS TEXT) = CAST(? AS TEXT) AND c.relkind IN ('r', 'p', 'v')
  AND pg_catalog.pg_table_is_visible(c.oid)
