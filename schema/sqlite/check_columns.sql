-- check_columns: name, kind, length (none is kept by SQLite), whether an INSERT must name it,
-- character set and collation of each column. args: table cols: ttiitt write: no
SELECT name,
  CASE
    WHEN upper(type) LIKE '%INT%' THEN 'int'
    WHEN upper(type) LIKE '%CHAR%' OR upper(type) LIKE '%TEXT%' OR upper(type) LIKE '%CLOB%'
      THEN 'text'
    WHEN type = '' OR upper(type) LIKE '%BLOB%' THEN 'blob'
    ELSE lower(type)
  END,
  CASE WHEN upper(type) LIKE '%INT%' THEN 8 ELSE 0 END,
  CASE WHEN "notnull" = 1 AND dflt_value IS NULL AND pk = 0 THEN 1 ELSE 0 END,
  '', ''
FROM pragma_table_info(?)
ORDER BY cid
