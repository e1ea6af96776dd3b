-- schema_version_set: ends an upgrade step. args: version cols: none write: yes
UPDATE {meta} SET schema_version = ? WHERE id = 1
