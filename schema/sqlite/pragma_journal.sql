-- pragma_journal: the kind of journal. args: none cols: t write: no
PRAGMA journal_mode
