-- check_settings: what the server and this session are set to. args: none cols: tt write: no
SELECT name, setting FROM pg_catalog.pg_settings
WHERE name IN ('server_encoding', 'client_encoding', 'transaction_isolation', 'transaction_read_only', 'TimeZone')
