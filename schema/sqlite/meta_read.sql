-- meta_read: version, installation, freeze. args: none cols: iitttii write: no
SELECT schema_version, installation, db_identity, frozen, freeze_reason, freeze_epoch,
  CAST(ROUND((julianday('now') - julianday(created_at)) * 86400000.0) AS INTEGER) FROM {meta} WHERE id = 1
