-- create.sql (sqlite): the tables of schema version 1 for SQLite 3.8.8+. May be run again.
--
-- Times are UTC text YYYY-MM-DD HH:MM:SS or YYYY-MM-DD HH:MM:SS.sss, written as datetime('now'),
-- datetime('now', '+10 minutes') or strftime('%Y-%m-%d %H:%M:%f', 'now'). SQLite has no type that
-- guards them, so the form of send_at and expire_at is checked here, impossible days too. SQLite
-- does not guard lengths either: a length below is what the agent holds to, and it answers a longer
-- value with a result (2xxx). AUTOINCREMENT: a msg_id is not given out twice.

CREATE TABLE IF NOT EXISTS {meta} (
  id SMALLINT NOT NULL PRIMARY KEY CHECK (id = 1),
  schema_version INT NOT NULL,
  installation BIGINT NOT NULL,
  db_identity VARCHAR(64) NOT NULL,
  frozen CHAR(1) NOT NULL DEFAULT 'N' CHECK (frozen IN ('N', 'Y')),
  freeze_reason VARCHAR(200),
  frozen_at VARCHAR(23),
  freeze_epoch BIGINT NOT NULL DEFAULT 0,
  created_at VARCHAR(23) NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);

CREATE TABLE IF NOT EXISTS {send} (
  msg_id INTEGER PRIMARY KEY AUTOINCREMENT,
  req_key VARCHAR(64),
  msg_type VARCHAR(8) NULL DEFAULT 'AUTO',
  priority SMALLINT NULL DEFAULT 1,
  sender VARCHAR(32),
  recipient VARCHAR(254),
  subject VARCHAR(200),
  body TEXT,
  is_ad CHAR(1) NULL DEFAULT 'N',
  vars TEXT,
  profile_key VARCHAR(64),
  template_code VARCHAR(64),
  payload TEXT,
  file_key VARCHAR(64),
  fallback_type VARCHAR(8) NULL DEFAULT 'NONE',
  fallback_subject VARCHAR(200),
  fallback_body TEXT,
  fallback_file_key VARCHAR(64),
  send_at VARCHAR(23) NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
    CHECK (send_at IS NULL OR (datetime(send_at, '+0 days') IS substr(send_at, 1, 19)
      AND (length(send_at) = 19 OR send_at GLOB '*:[0-9][0-9].[0-9][0-9][0-9]'))),
  expire_at VARCHAR(23)
    CHECK (expire_at IS NULL OR (datetime(expire_at, '+0 days') IS substr(expire_at, 1, 19)
      AND (length(expire_at) = 19 OR expire_at GLOB '*:[0-9][0-9].[0-9][0-9][0-9]'))),
  group_key VARCHAR(64),
  dept_code VARCHAR(32),
  origin_code VARCHAR(16),
  etc1 VARCHAR(100),
  etc2 VARCHAR(100),
  etc3 VARCHAR(100),
  etc4 VARCHAR(100),
  cancel_yn CHAR(1) NULL DEFAULT 'N',
  status SMALLINT NOT NULL DEFAULT 0 CHECK (status BETWEEN 0 AND 5),
  due_at VARCHAR(23),
  owner VARCHAR(64),
  incarnation BIGINT NOT NULL DEFAULT 0,
  fence BIGINT NOT NULL DEFAULT 0 CHECK (fence >= 0),
  try_no INT NOT NULL DEFAULT 0 CHECK (try_no >= 0),
  leg SMALLINT NOT NULL DEFAULT 0 CHECK (leg BETWEEN 0 AND 15),
  generation SMALLINT NOT NULL DEFAULT 0 CHECK (generation BETWEEN 0 AND 63),
  resend_no SMALLINT NOT NULL DEFAULT 0 CHECK (resend_no BETWEEN 0 AND 63),
  asked_type VARCHAR(8),
  channel VARCHAR(32),
  client_key VARCHAR(30),
  provider_id VARCHAR(100),
  first_sent_at VARCHAR(23),
  last_sent_at VARCHAR(23),
  hold_code CHAR(4),
  pend_class VARCHAR(8),
  pend_code CHAR(4),
  created_at VARCHAR(23) NOT NULL ON CONFLICT REPLACE DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
    CHECK (datetime(created_at, '+0 days') IS substr(created_at, 1, 19)
      AND (length(created_at) = 19 OR created_at GLOB '*:[0-9][0-9].[0-9][0-9][0-9]'))
);
CREATE UNIQUE INDEX IF NOT EXISTS {ix:send_req_key} ON {send} (req_key);
CREATE INDEX IF NOT EXISTS {ix:send_queue} ON {send} (status, msg_type, priority, send_at, msg_id);
CREATE INDEX IF NOT EXISTS {ix:send_due} ON {send} (status, due_at);
CREATE INDEX IF NOT EXISTS {ix:send_provider} ON {send} (channel, provider_id);

CREATE TABLE IF NOT EXISTS {result} (
  msg_id BIGINT NOT NULL,
  created_at VARCHAR(23) NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
  req_key VARCHAR(64),
  asked_type VARCHAR(8),
  sender VARCHAR(32),
  recipient VARCHAR(254),
  subject VARCHAR(200),
  body TEXT,
  group_key VARCHAR(64),
  dept_code VARCHAR(32),
  origin_code VARCHAR(16),
  etc1 VARCHAR(100),
  etc2 VARCHAR(100),
  etc3 VARCHAR(100),
  etc4 VARCHAR(100),
  send_at VARCHAR(23),
  result_class VARCHAR(8) NOT NULL CHECK (result_class IN ('OK', 'FAIL', 'UNKNOWN')),
  result_code CHAR(4) NOT NULL,
  result_text VARCHAR(200),
  provider_code VARCHAR(32),
  provider_id VARCHAR(100),
  client_key VARCHAR(30),
  sent_type VARCHAR(8),
  leg SMALLINT NOT NULL DEFAULT 0,
  carrier VARCHAR(16),
  parts SMALLINT,
  channel VARCHAR(32),
  owner VARCHAR(64),
  try_no INT NOT NULL DEFAULT 0,
  sent_at VARCHAR(23),
  done_at VARCHAR(23) NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
  rev SMALLINT NOT NULL DEFAULT 0,
  late CHAR(1) NOT NULL DEFAULT 'N' CHECK (late IN ('N', 'Y')),
  changed_at VARCHAR(23) NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
  read_yn CHAR(1) NOT NULL DEFAULT 'N',
  PRIMARY KEY (msg_id, created_at)
);
CREATE INDEX IF NOT EXISTS {ix:result_req_key} ON {result} (req_key);
CREATE INDEX IF NOT EXISTS {ix:result_provider} ON {result} (channel, provider_id);
CREATE INDEX IF NOT EXISTS {ix:result_unread} ON {result} (read_yn) WHERE read_yn = 'N';
CREATE INDEX IF NOT EXISTS {ix:result_done} ON {result} (done_at);

CREATE TABLE IF NOT EXISTS {try} (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  msg_id BIGINT NOT NULL,
  created_at VARCHAR(23) NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
  leg SMALLINT NOT NULL DEFAULT 0,
  try_no INT NOT NULL DEFAULT 0,
  generation SMALLINT NOT NULL DEFAULT 0,
  client_key VARCHAR(30),
  channel VARCHAR(32),
  provider_id VARCHAR(100),
  part SMALLINT NOT NULL DEFAULT 0,
  sent_at VARCHAR(23),
  outcome VARCHAR(10) NOT NULL DEFAULT 'OPEN'
    CHECK (outcome IN ('OPEN', 'ACCEPTED', 'REFUSED', 'FAILED', 'DELIVERED')),
  closed_at VARCHAR(23),
  code CHAR(4)
);
CREATE INDEX IF NOT EXISTS {ix:try_msg} ON {try} (msg_id);
CREATE INDEX IF NOT EXISTS {ix:try_key} ON {try} (client_key);
CREATE INDEX IF NOT EXISTS {ix:try_provider} ON {try} (channel, provider_id);

CREATE TABLE IF NOT EXISTS {report} (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  channel VARCHAR(32),
  client_key VARCHAR(30),
  provider_id VARCHAR(100),
  class VARCHAR(8) NOT NULL CHECK (class IN ('OK', 'FAIL', 'PENDING')),
  code CHAR(4),
  provider_code VARCHAR(32),
  carrier VARCHAR(16),
  parts SMALLINT,
  done_at VARCHAR(23),
  received_at VARCHAR(23) NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
  duplicate CHAR(1) NOT NULL DEFAULT 'N' CHECK (duplicate IN ('N', 'Y')),
  next_look VARCHAR(23)
);
CREATE INDEX IF NOT EXISTS {ix:report_key} ON {report} (client_key);
CREATE INDEX IF NOT EXISTS {ix:report_provider} ON {report} (channel, provider_id);
CREATE INDEX IF NOT EXISTS {ix:report_received} ON {report} (received_at);

CREATE TABLE IF NOT EXISTS {history} (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  msg_id BIGINT,
  created_at VARCHAR(23),
  at VARCHAR(23) NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
  event VARCHAR(32) NOT NULL,
  who VARCHAR(64),
  from_status SMALLINT,
  to_status SMALLINT,
  leg SMALLINT,
  try_no INT,
  code CHAR(4),
  client_key VARCHAR(30),
  channel VARCHAR(32),
  reason VARCHAR(200)
);
CREATE INDEX IF NOT EXISTS {ix:history_msg} ON {history} (msg_id);
CREATE INDEX IF NOT EXISTS {ix:history_at} ON {history} (at);

CREATE TABLE IF NOT EXISTS {agent} (
  agent_id VARCHAR(64) NOT NULL PRIMARY KEY,
  incarnation BIGINT NOT NULL DEFAULT 0,
  journal_id VARCHAR(40),
  boot_id VARCHAR(40),
  host VARCHAR(64),
  pid BIGINT,
  version VARCHAR(32),
  state VARCHAR(16),
  started_at VARCHAR(23),
  lease_until VARCHAR(23),
  heartbeat_at VARCHAR(23),
  claim_seq BIGINT NOT NULL DEFAULT 0,
  beat_seq BIGINT NOT NULL DEFAULT 0,
  channels VARCHAR(1000),
  waiting BIGINT NOT NULL DEFAULT 0,
  unknown_count BIGINT NOT NULL DEFAULT 0,
  held BIGINT NOT NULL DEFAULT 0,
  oldest_due_s BIGINT NOT NULL DEFAULT 0,
  last_error VARCHAR(500),
  replayed_epoch BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS {file} (
  file_key VARCHAR(64) NOT NULL,
  seq SMALLINT NOT NULL DEFAULT 1,
  file_name VARCHAR(200),
  file_path VARCHAR(500),
  content_type VARCHAR(64),
  content BLOB,
  created_at VARCHAR(23) NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
  PRIMARY KEY (file_key, seq)
);

CREATE TABLE IF NOT EXISTS {sender} (
  sender VARCHAR(32) NOT NULL PRIMARY KEY,
  use_yn CHAR(1) NOT NULL DEFAULT 'Y',
  note VARCHAR(200),
  created_at VARCHAR(23) NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);

CREATE TABLE IF NOT EXISTS {block} (
  recipient VARCHAR(64) NOT NULL,
  sender VARCHAR(32) NOT NULL DEFAULT '*',
  source VARCHAR(16),
  note VARCHAR(200),
  created_at VARCHAR(23) NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
  PRIMARY KEY (recipient, sender)
);

CREATE TABLE IF NOT EXISTS {code} (
  code CHAR(4) NOT NULL PRIMARY KEY,
  class VARCHAR(8) NOT NULL,
  name_en VARCHAR(100) NOT NULL,
  name_ko VARCHAR(100) NOT NULL
);

CREATE TABLE IF NOT EXISTS {recv} (
  recv_id INTEGER PRIMARY KEY AUTOINCREMENT,
  channel VARCHAR(32),
  provider_id VARCHAR(100),
  sender VARCHAR(32),
  recipient VARCHAR(32),
  body TEXT,
  reference INT,
  parts SMALLINT,
  part SMALLINT,
  sent_at VARCHAR(23),
  received_at VARCHAR(23) NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
  read_yn CHAR(1) NOT NULL DEFAULT 'N'
);
CREATE UNIQUE INDEX IF NOT EXISTS {ix:recv_provider} ON {recv} (channel, provider_id);
CREATE INDEX IF NOT EXISTS {ix:recv_unread} ON {recv} (read_yn) WHERE read_yn = 'N';

-- Last: a database without this row has no complete tables.
INSERT INTO {meta} (id, schema_version, installation, db_identity)
  SELECT 1, 1, 1 + (random() & 4294967295) % 4294967294, lower(hex(randomblob(16)))
  WHERE NOT EXISTS (SELECT 1 FROM {meta});
