-- code_set: one result code with its names. args: code class name_en name_ko cols: none write: yes
REPLACE INTO {code} (code, class, name_en, name_ko) VALUES (?, ?, ?, ?)
