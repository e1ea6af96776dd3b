-- code_set: one result code with its names. args: code class name_en name_ko cols: none write: yes
INSERT INTO {code} (code, class, name_en, name_ko) VALUES (?, ?, ?, ?)
ON CONFLICT (code) DO UPDATE SET class = EXCLUDED.class, name_en = EXCLUDED.name_en, name_ko = EXCLUDED.name_ko
