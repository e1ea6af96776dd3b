-- check_settings: what the server and this session are set to. args: none cols: tt write: no
SHOW VARIABLES WHERE Variable_name IN ('character_set_database', 'character_set_client',
  'character_set_connection',
  'character_set_results', 'log_bin', 'binlog_format', 'system_time_zone', 'read_only')
