-- check_table: whether a table or view is there, and how it is stored. args: table cols: tttt
-- write: no
SELECT type, '', '', '' FROM sqlite_master WHERE type IN ('table', 'view')
  AND name = ? COLLATE NOCASE
