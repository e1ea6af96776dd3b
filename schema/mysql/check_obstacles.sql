-- check_obstacles: kind, name and detail of what else acts on a table. args: table own_table
-- referenced_table cols: ttt write: no
SELECT 'trigger', trigger_name, CONCAT(action_timing, ' ', event_manipulation)
FROM information_schema.triggers
WHERE event_object_schema = DATABASE() AND event_object_table = ?
UNION ALL
SELECT 'foreign key', constraint_name, CONCAT(table_name, ' to ', referenced_table_name)
FROM information_schema.key_column_usage
WHERE (table_schema = DATABASE() AND table_name = ? AND referenced_table_name IS NOT NULL)
  OR (referenced_table_schema = DATABASE() AND referenced_table_name = ?)
