-- views.sql (sqlite): made anew by every "schema --apply".
--
-- Days and months are those of the reading program: TZ=Asia/Seoul sqlite3 ... for Korea. Times stay
-- UTC. Settlement goes by the time of sending, for what was never sent by the time of its result.
-- parts is what the provider told, 0 where it told nothing.

DROP VIEW IF EXISTS {v_queue};
CREATE VIEW {v_queue} AS
  SELECT msg_type, priority, status,
    CASE status
      WHEN 0 THEN 'READY' WHEN 1 THEN 'SENDING' WHEN 2 THEN 'ACCEPTED'
      WHEN 3 THEN 'UNKNOWN' WHEN 4 THEN 'HELD' WHEN 5 THEN 'DEFERRED'
    END AS status_name,
    COUNT(*) AS messages, MIN(send_at) AS oldest_send_at, MIN(due_at) AS next_due_at,
    MIN(created_at) AS oldest_created_at
  FROM {send}
  GROUP BY msg_type, priority, status;

DROP VIEW IF EXISTS {v_open};
CREATE VIEW {v_open} AS
  SELECT msg_id, created_at, req_key, asked_type, msg_type, priority, status,
    CASE status
      WHEN 0 THEN 'READY' WHEN 1 THEN 'SENDING' WHEN 2 THEN 'ACCEPTED'
      WHEN 3 THEN 'UNKNOWN' WHEN 4 THEN 'HELD' WHEN 5 THEN 'DEFERRED'
    END AS status_name,
    send_at, due_at, expire_at, cancel_yn, sender, recipient, group_key, dept_code, channel, leg,
    try_no, first_sent_at, hold_code, pend_class, pend_code, owner
  FROM {send};

DROP VIEW IF EXISTS {v_daily};
CREATE VIEW {v_daily} AS
  SELECT date(COALESCE(sent_at, done_at), 'localtime') AS send_day,
    COALESCE(sent_type, asked_type) AS msg_type, dept_code, origin_code, sender, channel,
    result_class, COUNT(*) AS messages, SUM(COALESCE(parts, 0)) AS parts
  FROM {result}
  GROUP BY date(COALESCE(sent_at, done_at), 'localtime'),
    COALESCE(sent_type, asked_type), dept_code, origin_code, sender, channel, result_class;

DROP VIEW IF EXISTS {v_monthly};
CREATE VIEW {v_monthly} AS
  SELECT strftime('%Y-%m', COALESCE(sent_at, done_at), 'localtime') AS send_month,
    COALESCE(sent_type, asked_type) AS msg_type, dept_code, origin_code, sender, channel,
    result_class, COUNT(*) AS messages, SUM(COALESCE(parts, 0)) AS parts
  FROM {result}
  GROUP BY strftime('%Y-%m', COALESCE(sent_at, done_at), 'localtime'),
    COALESCE(sent_type, asked_type), dept_code, origin_code, sender, channel, result_class;
