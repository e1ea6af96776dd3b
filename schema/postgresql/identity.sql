-- identity: this server and this database. args: none cols: t write: no
SELECT s.system_identifier || ':' || c.timeline_id || ':' || current_database() || ' ' || m.db_identity
FROM {meta} m, pg_control_system() s, pg_control_checkpoint() c WHERE m.id = 1
