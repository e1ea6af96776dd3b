-- check_settings: what the server and this session are set to. args: none cols: tt write: no
SELECT 'sqlite_version', sqlite_version()
