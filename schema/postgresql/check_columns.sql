-- check_columns: name, kind, length (bytes of a number, characters of a text, digits behind the
-- second of a time), whether an INSERT must name it, character set and collation of each column.
-- args: table cols: ttiitt write: no
SELECT CAST(a.attname AS TEXT),
  CASE t.typname
    WHEN 'int2' THEN 'int' WHEN 'int4' THEN 'int' WHEN 'int8' THEN 'int'
    WHEN 'varchar' THEN 'text' WHEN 'bpchar' THEN 'text' WHEN 'text' THEN 'text'
    WHEN 'timestamptz' THEN 'time' WHEN 'bytea' THEN 'blob'
    ELSE CAST(t.typname AS TEXT)
  END,
  CASE
    WHEN t.typname IN ('int2', 'int4', 'int8') THEN t.typlen
    WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 THEN a.atttypmod - 4
    WHEN t.typname = 'timestamptz' THEN CASE WHEN a.atttypmod < 0 THEN 6 ELSE a.atttypmod END
    ELSE 0
  END,
  CASE WHEN a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' THEN 1 ELSE 0 END,
  '', ''
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE CAST(c.relname AS TEXT) = CAST(? AS TEXT) AND c.relkind IN ('r', 'p')
  AND pg_catalog.pg_table_is_visible(c.oid)
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
