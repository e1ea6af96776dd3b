-- pragma_sync: how hard a commit is written. args: none cols: i write: no
PRAGMA synchronous
