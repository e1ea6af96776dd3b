-- views.sql (postgresql): made anew by every "schema --apply".
--
-- Days and months are those of the reading session: SET TimeZone = 'Asia/Seoul' for Korea.
-- Settlement goes by the time of sending, for what was never sent by the time of its result. parts
-- is what the provider told, 0 where it told nothing.

CREATE OR REPLACE VIEW {v_queue} AS
  SELECT msg_type, priority, status,
    CASE status
      WHEN 0 THEN 'READY' WHEN 1 THEN 'SENDING' WHEN 2 THEN 'ACCEPTED'
      WHEN 3 THEN 'UNKNOWN' WHEN 4 THEN 'HELD' WHEN 5 THEN 'DEFERRED'
    END AS status_name,
    COUNT(*) AS messages, MIN(send_at) AS oldest_send_at, MIN(due_at) AS next_due_at,
    MIN(created_at) AS oldest_created_at
  FROM {send}
  GROUP BY msg_type, priority, status;

CREATE OR REPLACE VIEW {v_open} AS
  SELECT msg_id, created_at, req_key, asked_type, msg_type, priority, status,
    CASE status
      WHEN 0 THEN 'READY' WHEN 1 THEN 'SENDING' WHEN 2 THEN 'ACCEPTED'
      WHEN 3 THEN 'UNKNOWN' WHEN 4 THEN 'HELD' WHEN 5 THEN 'DEFERRED'
    END AS status_name,
    send_at, due_at, expire_at, cancel_yn, sender, recipient, group_key, dept_code, channel, leg,
    try_no, first_sent_at, hold_code, pend_class, pend_code, owner
  FROM {send};

CREATE OR REPLACE VIEW {v_daily} AS
  SELECT CAST(COALESCE(sent_at, done_at) AS DATE) AS send_day,
    COALESCE(sent_type, asked_type) AS msg_type, dept_code, origin_code, sender, channel,
    result_class, COUNT(*) AS messages, SUM(COALESCE(parts, 0)) AS parts
  FROM {result}
  GROUP BY CAST(COALESCE(sent_at, done_at) AS DATE),
    COALESCE(sent_type, asked_type), dept_code, origin_code, sender, channel, result_class;

CREATE OR REPLACE VIEW {v_monthly} AS
  SELECT to_char(COALESCE(sent_at, done_at), 'YYYY-MM') AS send_month,
    COALESCE(sent_type, asked_type) AS msg_type, dept_code, origin_code, sender, channel,
    result_class, COUNT(*) AS messages, SUM(COALESCE(parts, 0)) AS parts
  FROM {result}
  GROUP BY to_char(COALESCE(sent_at, done_at), 'YYYY-MM'),
    COALESCE(sent_type, asked_type), dept_code, origin_code, sender, channel, result_class;
