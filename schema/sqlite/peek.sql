-- peek: which of 18 queues have a due row. args: type1 priority1 type2 priority2 type3 priority3 type4 priority4
-- type5 priority5 type6 priority6 type7 priority7 type8 priority8 type9 priority9 type10 priority10 type11
-- priority11 type12 priority12 type13 priority13 type14 priority14 type15 priority15 type16 priority16 type17
-- priority17 type18 priority18 cols: iiiiiiiiiiiiiiiiii write: no
SELECT
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q1,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q2,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q3,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q4,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q5,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q6,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q7,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q8,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q9,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q10,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q11,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q12,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q13,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q14,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q15,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q16,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q17,
  CASE WHEN EXISTS (SELECT 1 FROM {send}
    WHERE status = 0 AND msg_type = ? AND priority = ? AND send_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 1 ELSE 0 END AS q18
