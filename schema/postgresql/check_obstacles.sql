-- check_obstacles: kind, name and detail of what else acts on a table. args: table own_table
-- rule_table policy_table cols: ttt write: no
SELECT 'trigger', CAST(t.tgname AS TEXT), CAST(t.tgfoid AS REGPROC) || '()'
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND CAST(c.relname AS TEXT) = CAST(? AS TEXT)
  AND pg_catalog.pg_table_is_visible(c.oid)
UNION ALL
SELECT 'foreign key', CAST(k.conname AS TEXT), CAST(k.conrelid AS REGCLASS) || ' to '
  || CAST(k.confrelid AS REGCLASS)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid IN (k.conrelid, k.confrelid)
WHERE k.contype = 'f' AND CAST(c.relname AS TEXT) = CAST(? AS TEXT)
  AND pg_catalog.pg_table_is_visible(c.oid)
UNION ALL
SELECT 'rule', CAST(r.rulename AS TEXT), ''
FROM pg_catalog.pg_rewrite r
JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
WHERE c.relkind IN ('r', 'p') AND CAST(c.relname AS TEXT) = CAST(? AS TEXT)
  AND pg_catalog.pg_table_is_visible(c.oid)
UNION ALL
SELECT 'row security', CAST(c.relname AS TEXT), ''
FROM pg_catalog.pg_class c
WHERE c.relrowsecurity AND CAST(c.relname AS TEXT) = CAST(? AS TEXT)
  AND pg_catalog.pg_table_is_visible(c.oid)
