-- meta_read: version, installation, freeze. args: none cols: iitttii write: no
SELECT schema_version, installation, db_identity, frozen, freeze_reason, freeze_epoch,
  CAST(FLOOR(EXTRACT(EPOCH FROM (clock_timestamp()) - (created_at)) * 1000) AS BIGINT) FROM {meta} WHERE id = 1
