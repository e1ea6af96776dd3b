-- part_add: the id of one part of an accepted attempt, once. args: try_no generation client_key channel provider_id
-- part msg_id client_key client_key client_key part cols: none write: yes
INSERT INTO {try} (msg_id, created_at, leg, try_no, generation, client_key, channel, provider_id, part, sent_at, outcome)
SELECT s.msg_id, s.created_at, s.leg, ?, ?, ?, ?, ?, ?, s.first_sent_at, 'ACCEPTED'
FROM {send} s
WHERE s.msg_id = ? AND (s.client_key = ? OR EXISTS (SELECT 1 FROM {try} a WHERE a.msg_id = s.msg_id
    AND a.created_at = s.created_at AND a.client_key = ? AND a.part = 0))
  AND NOT EXISTS (SELECT 1 FROM {try} b WHERE b.msg_id = s.msg_id AND b.created_at = s.created_at AND b.client_key = ?
    AND b.part = ?)
