-- check_columns: name, kind, length (bytes of a number, characters of a text, digits behind the
-- second of a time), whether an INSERT must name it, character set and collation of each column.
-- args: table cols: ttiitt write: no
SELECT column_name,
  CASE
    WHEN data_type IN ('tinyint', 'smallint', 'mediumint', 'int', 'bigint') THEN 'int'
    WHEN data_type IN ('char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext') THEN 'text'
    WHEN data_type = 'timestamp' THEN 'time'
    WHEN data_type IN ('binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob')
      THEN 'blob'
    ELSE data_type
  END,
  CASE data_type
    WHEN 'tinyint' THEN 1 WHEN 'smallint' THEN 2 WHEN 'mediumint' THEN 3 WHEN 'int' THEN 4
      WHEN 'bigint' THEN 8
    WHEN 'timestamp' THEN datetime_precision
    ELSE COALESCE(character_maximum_length, 0)
  END,
  CASE WHEN is_nullable = 'NO' AND column_default IS NULL
    AND extra NOT LIKE '%auto_increment%' THEN 1 ELSE 0 END,
  COALESCE(character_set_name, ''), COALESCE(collation_name, '')
FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = ?
ORDER BY ordinal_position
