-- session.sql (mysql): what every session of the agent needs. Times as text are UTC, so that what was read as text is taken back
-- unchanged; a value that does not fit is an error instead of a cut; no gap locks that applications would wait for; and who waits for
-- a row that somebody else holds goes on with the others soon.
SET SESSION time_zone = '+00:00';
SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION';
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET SESSION innodb_lock_wait_timeout = 2;
