-- schema_version: the version of the tables; no row: they were never completed. args: none cols: i
-- write: no
SELECT schema_version FROM {meta} WHERE id = 1
