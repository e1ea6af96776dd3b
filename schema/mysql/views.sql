-- views.sql (mysql): made anew by every "schema --apply".
--
-- Days and months are those of the reading session: SET time_zone = '+09:00' for Korea. Settlement
-- goes by the time of sending, for what was never sent by the time of its result. parts is what the
-- provider told, 0 where it told nothing.

CREATE OR REPLACE SQL SECURITY INVOKER VIEW {v_queue} AS
  SELECT msg_type, priority, status,
    CASE status
      WHEN 0 THEN 'READY' WHEN 1 THEN 'SENDING' WHEN 2 THEN 'ACCEPTED'
      WHEN 3 THEN 'UNKNOWN' WHEN 4 THEN 'HELD' WHEN 5 THEN 'DEFERRED'
    END AS status_name,
    COUNT(*) AS messages, MIN(send_at) AS oldest_send_at, MIN(due_at) AS next_due_at,
    MIN(created_at) AS oldest_created_at
  FROM {send}
  GROUP BY msg_type, priority, status;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW {v_open} AS
  SELECT msg_id, created_at, req_key, asked_type, msg_type, priority, status,
    CASE status
      WHEN 0 THEN 'READY' WHEN 1 THEN 'SENDING' WHEN 2 THEN 'ACCEPTED'
      WHEN 3 THEN 'UNKNOWN' WHEN 4 THEN 'HELD' WHEN 5 THEN 'DEFERRED'
    END AS status_name,
    send_at, due_at, expire_at, cancel_yn, sender, recipient, group_key, dept_code, channel, leg,
    try_no, first_sent_at, hold_code, pend_class, pend_code, owner
  FROM {send};

CREATE OR REPLACE SQL SECURITY INVOKER VIEW {v_daily} AS
  SELECT DATE(COALESCE(sent_at, done_at)) AS send_day,
    COALESCE(sent_type, asked_type) AS msg_type, dept_code, origin_code, sender, channel,
    result_class, COUNT(*) AS messages, SUM(COALESCE(parts, 0)) AS parts
  FROM {result}
  GROUP BY DATE(COALESCE(sent_at, done_at)),
    COALESCE(sent_type, asked_type), dept_code, origin_code, sender, channel, result_class;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW {v_monthly} AS
  SELECT DATE_FORMAT(COALESCE(sent_at, done_at), '%Y-%m') AS send_month,
    COALESCE(sent_type, asked_type) AS msg_type, dept_code, origin_code, sender, channel,
    result_class, COUNT(*) AS messages, SUM(COALESCE(parts, 0)) AS parts
  FROM {result}
  GROUP BY DATE_FORMAT(COALESCE(sent_at, done_at), '%Y-%m'),
    COALESCE(sent_type, asked_type), dept_code, origin_code, sender, channel, result_class;
