-- admin_ahead: how many due rows of the same queue are before this one. args: type priority msg_id limit cols: i write: no
SELECT COUNT(*) FROM (SELECT 1 AS one FROM {send} WHERE status = 0 AND msg_type = ? AND priority = CAST(? AS SMALLINT)
  AND send_at < (SELECT x.send_at FROM {send} x WHERE x.msg_id = ?) LIMIT ?) q
