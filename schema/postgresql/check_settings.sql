-- check_settings: what the server and this session are set to. args: none cols: tt write: no
SELECT name, CASE name WHEN 'TimeZone' THEN reset_val ELSE setting END FROM pg_catalog.pg_settings
WHERE name IN ('server_encoding', 'client_encoding', 'transaction_read_only', 'TimeZone')
