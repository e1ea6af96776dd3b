-- code_set: one result code with its names. args: code class name_en name_ko cols: none write: yes
INSERT INTO {code} (code, class, name_en, name_ko) VALUES (?, ?, ?, ?)
ON DUPLICATE KEY UPDATE class = VALUES(class), name_en = VALUES(name_en), name_ko = VALUES(name_ko)
