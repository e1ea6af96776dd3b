-- check_obstacles: kind, name and detail of what else acts on a table. args: table own_table
-- referenced_table cols: ttt write: no
SELECT 'trigger', name, '' FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE
UNION ALL
SELECT 'foreign key', m.name || '.' || f."from", m.name || ' to ' || f."table"
FROM sqlite_master m, pragma_foreign_key_list(m.name) f
WHERE m.type = 'table' AND (m.name = ? COLLATE NOCASE OR f."table" = ? COLLATE NOCASE)
