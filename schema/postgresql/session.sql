-- session.sql (postgresql): what every session of the agent needs. Times as text are UTC in one form, so that what was read as
-- text is taken back unchanged; who waits for a row that somebody else holds goes on with the others soon.
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET lock_timeout = '2s';
SET jit = off;
-- Every statement has its index; a plan that was made while the tables were empty must not stay a scan.
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
