-- session.sql (sqlite): what every session of the agent needs.
PRAGMA temp_store = MEMORY;
