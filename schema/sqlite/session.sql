-- session.sql (sqlite): what every session of the agent needs. What a statement would undo lies in a file: in memory, 500 rows
-- with a megabyte each would lie there.
PRAGMA temp_store = FILE;
