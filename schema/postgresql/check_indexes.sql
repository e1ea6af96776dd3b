-- check_indexes: index, unique, place, column, whether it covers some rows only. args: table cols:
-- tiiti write: no
SELECT CAST(x.relname AS TEXT), CASE WHEN i.indisunique THEN 1 ELSE 0 END, k.n,
  COALESCE(CAST(a.attname AS TEXT), '(expression)'), CASE WHEN i.indpred IS NULL THEN 0 ELSE 1 END
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisvalid
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
CROSS JOIN LATERAL unnest(CAST(i.indkey AS INT2[])) WITH ORDINALITY AS k (attnum, n)
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum AND k.attnum > 0
WHERE CAST(c.relname AS TEXT) = CAST(? AS TEXT) AND c.relkind IN ('r', 'p')
  AND pg_catalog.pg_table_is_visible(c.oid)
  AND k.n <= i.indnkeyatts
ORDER BY 1, 3
