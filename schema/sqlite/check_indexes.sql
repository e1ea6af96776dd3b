-- check_indexes: index, unique, place, column, whether it covers some rows only; the row id counts
-- as one. args: table rowid_table cols: tiiti write: no
SELECT l.name AS index_name, l."unique", i.seqno + 1 AS place, COALESCE(i.name, '(expression)'),
  l.partial
FROM pragma_index_list(?) l, pragma_index_info(l.name) i
UNION ALL
SELECT '(rowid)', 1, 1, t.name, 0 FROM pragma_table_info(?) t WHERE t.pk = 1
  AND upper(t.type) = 'INTEGER'
ORDER BY 1, 3
