-- meta_read: version, installation, freeze. args: none cols: iitttii write: no
SELECT schema_version, installation, db_identity, frozen, freeze_reason, freeze_epoch,
  TIMESTAMPDIFF(MICROSECOND, created_at, NOW(3)) DIV 1000 FROM {meta} WHERE id = 1
