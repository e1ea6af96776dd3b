-- durability: what a crash of the server may cost. args: none cols: tt write: no
SELECT name, setting FROM pg_settings WHERE name IN ('synchronous_commit', 'fsync', 'full_page_writes')
