-- check_indexes: index, unique, place, column, whether it covers some rows only. args: table cols:
-- tiiti write: no
SELECT index_name, 1 - non_unique, seq_in_index,
  CASE WHEN sub_part IS NOT NULL THEN CONCAT(column_name, '(', sub_part, ')')
    ELSE COALESCE(column_name, '(expression)') END,
  0
FROM information_schema.statistics
WHERE table_schema = DATABASE() AND table_name = ?
ORDER BY index_name, seq_in_index
