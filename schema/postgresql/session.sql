-- session.sql (postgresql): what every session of the agent needs. Times as text are UTC in one form, so that what was read as
-- text is taken back unchanged.
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET lock_timeout = '10s';
SET jit = off;
