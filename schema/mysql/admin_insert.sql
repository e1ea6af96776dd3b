-- admin_insert: a test message. args: req_key type sender recipient subject body cols: none write: yes
INSERT INTO {send} (req_key, msg_type, sender, recipient, subject, body) VALUES (?, ?, ?, ?, ?, ?)
