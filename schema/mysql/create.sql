-- create.sql (mysql): the tables of schema version 1 for MySQL 5.6+ and MariaDB 10.3+. May be run
-- again.
--
-- Text is utf8mb4_bin: it joins with a column of any other utf8mb4 collation without an error, and
-- keys that differ in case are different keys (trailing blanks do not count, as everywhere in
-- MySQL). Type and flags compare without case. Every TIMESTAMP has its default written out: without
-- it old servers add ON UPDATE CURRENT_TIMESTAMP to the first one (explicit_defaults_for_timestamp
-- = OFF). Checks that an old server does not know are read and ignored there. What an application
-- writes is never checked here: the agent answers it with a result.

CREATE TABLE IF NOT EXISTS {meta} (
  id SMALLINT NOT NULL PRIMARY KEY CHECK (id = 1),
  schema_version INT NOT NULL,
  installation BIGINT NOT NULL,
  db_identity VARCHAR(64) NOT NULL,
  frozen CHAR(1) NOT NULL DEFAULT 'N' CHECK (frozen IN ('N', 'Y')),
  freeze_reason VARCHAR(200) NULL,
  frozen_at TIMESTAMP(3) NULL DEFAULT NULL,
  freeze_epoch BIGINT NOT NULL DEFAULT 0,
  created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {send} (
  msg_id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  req_key VARCHAR(64) NULL,
  msg_type VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NULL DEFAULT 'AUTO',
  priority SMALLINT NULL DEFAULT 1,
  sender VARCHAR(32) NULL,
  recipient VARCHAR(254) NULL,
  subject VARCHAR(200) NULL,
  body TEXT NULL,
  is_ad CHAR(1) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NULL DEFAULT 'N',
  vars TEXT NULL,
  profile_key VARCHAR(64) NULL,
  template_code VARCHAR(64) NULL,
  payload TEXT NULL,
  file_key VARCHAR(64) NULL,
  fallback_type VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NULL DEFAULT 'NONE',
  fallback_subject VARCHAR(200) NULL,
  fallback_body TEXT NULL,
  fallback_file_key VARCHAR(64) NULL,
  send_at TIMESTAMP(3) NULL DEFAULT CURRENT_TIMESTAMP(3),
  expire_at TIMESTAMP(3) NULL DEFAULT NULL,
  group_key VARCHAR(64) NULL,
  dept_code VARCHAR(32) NULL,
  origin_code VARCHAR(16) NULL,
  etc1 VARCHAR(100) NULL,
  etc2 VARCHAR(100) NULL,
  etc3 VARCHAR(100) NULL,
  etc4 VARCHAR(100) NULL,
  cancel_yn CHAR(1) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NULL DEFAULT 'N',
  status SMALLINT NOT NULL DEFAULT 0 CHECK (status BETWEEN 0 AND 5),
  due_at TIMESTAMP(3) NULL DEFAULT NULL,
  owner VARCHAR(64) NULL,
  incarnation BIGINT NOT NULL DEFAULT 0,
  fence BIGINT NOT NULL DEFAULT 0 CHECK (fence >= 0),
  try_no INT NOT NULL DEFAULT 0 CHECK (try_no >= 0),
  leg SMALLINT NOT NULL DEFAULT 0 CHECK (leg BETWEEN 0 AND 15),
  generation SMALLINT NOT NULL DEFAULT 0 CHECK (generation BETWEEN 0 AND 63),
  resend_no SMALLINT NOT NULL DEFAULT 0 CHECK (resend_no BETWEEN 0 AND 63),
  asked_type VARCHAR(8) NULL,
  channel VARCHAR(32) NULL,
  client_key VARCHAR(30) NULL,
  provider_id VARCHAR(100) NULL,
  first_sent_at TIMESTAMP(3) NULL DEFAULT NULL,
  last_sent_at TIMESTAMP(3) NULL DEFAULT NULL,
  hold_code CHAR(4) NULL,
  pend_class VARCHAR(8) NULL,
  pend_code CHAR(4) NULL,
  created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  UNIQUE KEY {ix:send_req_key} (req_key),
  KEY {ix:send_queue} (status, msg_type, priority, send_at, msg_id),
  KEY {ix:send_due} (status, due_at),
  KEY {ix:send_provider} (channel, provider_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {result} (
  msg_id BIGINT NOT NULL,
  created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  req_key VARCHAR(64) NULL,
  asked_type VARCHAR(8) NULL,
  sender VARCHAR(32) NULL,
  recipient VARCHAR(254) NULL,
  subject VARCHAR(200) NULL,
  body TEXT NULL,
  group_key VARCHAR(64) NULL,
  dept_code VARCHAR(32) NULL,
  origin_code VARCHAR(16) NULL,
  etc1 VARCHAR(100) NULL,
  etc2 VARCHAR(100) NULL,
  etc3 VARCHAR(100) NULL,
  etc4 VARCHAR(100) NULL,
  send_at TIMESTAMP(3) NULL DEFAULT NULL,
  result_class VARCHAR(8) NOT NULL CHECK (result_class IN ('OK', 'FAIL', 'UNKNOWN')),
  result_code CHAR(4) NOT NULL,
  result_text VARCHAR(200) NULL,
  provider_code VARCHAR(32) NULL,
  provider_id VARCHAR(100) NULL,
  client_key VARCHAR(30) NULL,
  sent_type VARCHAR(8) NULL,
  leg SMALLINT NOT NULL DEFAULT 0,
  carrier VARCHAR(16) NULL,
  parts SMALLINT NULL,
  channel VARCHAR(32) NULL,
  owner VARCHAR(64) NULL,
  try_no INT NOT NULL DEFAULT 0,
  sent_at TIMESTAMP(3) NULL DEFAULT NULL,
  done_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  rev SMALLINT NOT NULL DEFAULT 0,
  late CHAR(1) NOT NULL DEFAULT 'N' CHECK (late IN ('N', 'Y')),
  changed_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  read_yn CHAR(1) NOT NULL DEFAULT 'N',
  PRIMARY KEY (msg_id, created_at),
  KEY {ix:result_req_key} (req_key),
  KEY {ix:result_provider} (channel, provider_id),
  KEY {ix:result_unread} (read_yn),
  KEY {ix:result_done} (done_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {try} (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  msg_id BIGINT NOT NULL,
  created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  leg SMALLINT NOT NULL DEFAULT 0,
  try_no INT NOT NULL DEFAULT 0,
  generation SMALLINT NOT NULL DEFAULT 0,
  client_key VARCHAR(30) NULL,
  channel VARCHAR(32) NULL,
  provider_id VARCHAR(100) NULL,
  part SMALLINT NOT NULL DEFAULT 0,
  sent_at TIMESTAMP(3) NULL DEFAULT NULL,
  outcome VARCHAR(10) NOT NULL DEFAULT 'OPEN'
    CHECK (outcome IN ('OPEN', 'ACCEPTED', 'REFUSED', 'FAILED', 'DELIVERED')),
  closed_at TIMESTAMP(3) NULL DEFAULT NULL,
  code CHAR(4) NULL,
  KEY {ix:try_msg} (msg_id),
  KEY {ix:try_key} (client_key),
  KEY {ix:try_provider} (channel, provider_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {report} (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  channel VARCHAR(32) NULL,
  client_key VARCHAR(30) NULL,
  provider_id VARCHAR(100) NULL,
  class VARCHAR(8) NOT NULL CHECK (class IN ('OK', 'FAIL', 'PENDING')),
  code CHAR(4) NULL,
  provider_code VARCHAR(32) NULL,
  carrier VARCHAR(16) NULL,
  parts SMALLINT NULL,
  done_at TIMESTAMP(3) NULL DEFAULT NULL,
  received_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  duplicate CHAR(1) NOT NULL DEFAULT 'N' CHECK (duplicate IN ('N', 'Y')),
  next_look TIMESTAMP(3) NULL DEFAULT NULL,
  KEY {ix:report_key} (client_key),
  KEY {ix:report_provider} (channel, provider_id),
  KEY {ix:report_received} (received_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {history} (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  msg_id BIGINT NULL,
  created_at TIMESTAMP(3) NULL DEFAULT NULL,
  at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  event VARCHAR(32) NOT NULL,
  who VARCHAR(64) NULL,
  from_status SMALLINT NULL,
  to_status SMALLINT NULL,
  leg SMALLINT NULL,
  try_no INT NULL,
  code CHAR(4) NULL,
  client_key VARCHAR(30) NULL,
  channel VARCHAR(32) NULL,
  reason VARCHAR(200) NULL,
  KEY {ix:history_msg} (msg_id),
  KEY {ix:history_at} (at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {agent} (
  agent_id VARCHAR(64) NOT NULL PRIMARY KEY,
  incarnation BIGINT NOT NULL DEFAULT 0,
  journal_id VARCHAR(40) NULL,
  boot_id VARCHAR(40) NULL,
  host VARCHAR(64) NULL,
  pid BIGINT NULL,
  version VARCHAR(32) NULL,
  state VARCHAR(16) NULL,
  started_at TIMESTAMP(3) NULL DEFAULT NULL,
  lease_until TIMESTAMP(3) NULL DEFAULT NULL,
  heartbeat_at TIMESTAMP(3) NULL DEFAULT NULL,
  claim_seq BIGINT NOT NULL DEFAULT 0,
  beat_seq BIGINT NOT NULL DEFAULT 0,
  channels VARCHAR(1000) NULL,
  waiting BIGINT NOT NULL DEFAULT 0,
  unknown_count BIGINT NOT NULL DEFAULT 0,
  held BIGINT NOT NULL DEFAULT 0,
  oldest_due_s BIGINT NOT NULL DEFAULT 0,
  last_error VARCHAR(500) NULL,
  replayed_epoch BIGINT NOT NULL DEFAULT 0
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {file} (
  file_key VARCHAR(64) NOT NULL,
  seq SMALLINT NOT NULL DEFAULT 1,
  file_name VARCHAR(200) NULL,
  file_path VARCHAR(500) NULL,
  content_type VARCHAR(64) NULL,
  content MEDIUMBLOB NULL,
  created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (file_key, seq)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {sender} (
  sender VARCHAR(32) NOT NULL PRIMARY KEY,
  use_yn CHAR(1) NOT NULL DEFAULT 'Y',
  note VARCHAR(200) NULL,
  created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {block} (
  recipient VARCHAR(64) NOT NULL,
  sender VARCHAR(32) NOT NULL DEFAULT '*',
  source VARCHAR(16) NULL,
  note VARCHAR(200) NULL,
  created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (recipient, sender)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {code} (
  code CHAR(4) NOT NULL PRIMARY KEY,
  class VARCHAR(8) NOT NULL,
  name_en VARCHAR(100) NOT NULL,
  name_ko VARCHAR(100) NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {recv} (
  recv_id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  channel VARCHAR(32) NULL,
  provider_id VARCHAR(100) NULL,
  sender VARCHAR(32) NULL,
  recipient VARCHAR(32) NULL,
  body TEXT NULL,
  reference INT NULL,
  parts SMALLINT NULL,
  part SMALLINT NULL,
  sent_at TIMESTAMP(3) NULL DEFAULT NULL,
  received_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  read_yn CHAR(1) NOT NULL DEFAULT 'N',
  UNIQUE KEY {ix:recv_provider} (channel, provider_id),
  KEY {ix:recv_unread} (read_yn)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Last: a database without this row has no complete tables.
INSERT INTO {meta} (id, schema_version, installation, db_identity)
  SELECT 1, 1, 1 + FLOOR(RAND() * 4294967294), UUID() FROM (SELECT 1 AS one) AS d
  WHERE NOT EXISTS (SELECT 1 FROM {meta});
