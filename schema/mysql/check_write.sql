-- check_write.sql (mysql): everything that the agent does to its tables, done once in a transaction
-- that is always rolled back: missing rights, read-only servers and triggers that fail show here
-- instead of at the first message.

INSERT INTO {send} (msg_id, status, sender, recipient, body) VALUES (-1, 4, 'check', 'check',
  'check');
UPDATE {send} SET fence = fence + 1 WHERE msg_id = -1;
INSERT INTO {result} (msg_id, sender, recipient, result_class, result_code)
  VALUES (-1, 'check', 'check', 'FAIL', '9002');
UPDATE {result} SET rev = rev + 1 WHERE msg_id = -1;
DELETE FROM {send} WHERE msg_id = -1;
INSERT INTO {try} (msg_id) VALUES (-1);
UPDATE {try} SET part = 1 WHERE msg_id = -1;
DELETE FROM {try} WHERE msg_id = -1;
INSERT INTO {report} (channel, provider_id, class) VALUES ('check', 'check', 'PENDING');
UPDATE {report} SET parts = 1 WHERE channel = 'check' AND provider_id = 'check';
DELETE FROM {report} WHERE channel = 'check' AND provider_id = 'check';
INSERT INTO {history} (msg_id, event) VALUES (-1, 'check');
DELETE FROM {history} WHERE msg_id = -1;
INSERT INTO {agent} (agent_id) VALUES ('(check)');
UPDATE {agent} SET pid = 1 WHERE agent_id = '(check)';
UPDATE {meta} SET freeze_epoch = freeze_epoch WHERE id = 1;
INSERT INTO {recv} (channel, provider_id) VALUES ('check', 'check');
INSERT INTO {history} (event) SELECT 'check' FROM {file} WHERE seq = -1;
INSERT INTO {history} (event) SELECT 'check' FROM {sender} WHERE sender = '(check)';
INSERT INTO {history} (event) SELECT 'check' FROM {block} WHERE recipient = '(check)';
INSERT INTO {history} (event) SELECT 'check' FROM {code} WHERE code = '----';
