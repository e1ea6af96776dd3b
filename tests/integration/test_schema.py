"""The tables on real servers: made again, refused when newer, checked when broken, and the rights of the three roles."""

import os
import subprocess

import pytest
from lib import conf, paths
from lib.db import NULL, PASSWORD, Sql

CHECK_FAILED = 2


def ctl(database, *args, deadline_s=60):
    """Runs mtrelayctl against that database: (status, output)."""
    path = os.path.join(database.dir, "schema-test-%s.conf" % os.path.basename(database.name))
    paths.write_file(path, conf.render(conf.test_conf(database.dir, database.agent_config())))
    done = subprocess.run([paths.program("mtrelayctl"), "-c", path] + list(args), capture_output=True, text=True,
                          timeout=deadline_s)
    return done.returncode, done.stdout + done.stderr


def assert_clean(database):
    """Nothing to complain about, but for the row format that MySQL 5.6 has by default."""
    status, text = ctl(database, "schema", "--check")
    lines = [line for line in text.splitlines() if line.startswith(("FAIL ", "WARN "))]
    if database.kind == "mysql56":
        assert len(lines) == 2 and all("row format Compact" in line for line in lines), text
    else:
        assert status == 0 and not lines, text


def finding(database, thing):
    """The line of "schema --check" about that thing that is not OK."""
    status, text = ctl(database, "schema", "--check")
    lines = [line for line in text.splitlines() if thing in line and not line.lstrip().startswith("OK")]
    assert lines, "nothing about %s in:\n%s" % (thing, text)
    return status, "\n".join(lines)


def test_apply_again_keeps_what_is_there(database):
    database.insert(req_key="k1")
    before = database.rows("meta", order=None)
    database.apply_schema()
    assert database.rows("meta", order=None) == before
    assert database.count("send") == 1
    assert database.one("SELECT name_ko FROM {p}code WHERE code = '3007'") == "취소"
    assert_clean(database)
    assert database.count("send") == 1, "the check left something behind"
    assert database.count("result") == database.count("history") == database.count("recv") == 0
    for view in ("v_queue", "v_open"):
        assert database.count(view) == 1
    assert database.one("SELECT status_name FROM {p}v_open") == "READY"


@pytest.mark.noschema
@pytest.mark.db("postgresql")
def test_euc_kr_database(database, servers):
    other = servers("postgresql").create(encoding="EUC_KR")
    try:
        other.apply_schema()
        status, text = ctl(other, "schema", "--check")
        assert "FAIL" not in text
        assert "EUC_KR" in text and status < CHECK_FAILED
        assert other.one("SELECT name_ko FROM {p}code WHERE code = '4004'") == "음영 지역"
        other.insert(body="안녕하세요")
        text = other.sql("INSERT INTO mt_send (body) VALUES ('\U0001F600');", check=False)
        assert "EUC_KR" in text and other.count("send") == 1
    finally:
        other.drop()


def test_a_newer_schema_is_refused(database):
    database.execute("UPDATE {p}meta SET schema_version = 99")
    for args in (("schema", "--apply"), ("schema", "--check")):
        status, text = ctl(database, *args)
        assert status != 0
        assert "version 99" in text and "newer mtrelay" in text, text
    assert database.one("SELECT schema_version FROM {p}meta") == 99


@pytest.mark.noschema
def test_the_printed_script_makes_the_tables(database):
    status, text = ctl(database, "schema", "--print")
    assert status == 0
    database.sql(text)
    database.sql(text)
    assert_clean(database)


MY_TRIGGER = "CREATE TRIGGER broken BEFORE INSERT ON {p}result FOR EACH ROW SIGNAL SQLSTATE '45000' " \
             "SET MESSAGE_TEXT = 'not today'"
PG_TRIGGER = "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$; " \
             "CREATE TRIGGER broken BEFORE INSERT ON {p}result FOR EACH ROW EXECUTE FUNCTION broken()"
HARM = [
    # dialect, harm, thing, a word of the sentence
    ("mysql", "DROP TABLE {p}try", "mt_try", "missing"),
    ("mysql", "ALTER TABLE {p}send DROP COLUMN etc4", "mt_send.etc4", "missing"),
    ("mysql", "ALTER TABLE {p}result MODIFY provider_id VARCHAR(20) COLLATE utf8mb4_bin", "mt_result.provider_id", "too short"),
    ("mysql", "ALTER TABLE {p}send MODIFY send_at DATETIME(3) NULL", "mt_send.send_at", "datetime"),
    ("mysql", "ALTER TABLE {p}send MODIFY due_at TIMESTAMP NULL DEFAULT NULL", "mt_send.due_at", "milliseconds"),
    ("mysql", "ALTER TABLE {p}send DROP INDEX {p}ix_send_queue", "table mt_send", "CREATE INDEX"),
    ("mysql", "ALTER TABLE {p}send DROP INDEX {p}ix_send_req_key, ADD UNIQUE INDEX r (req_key(10))", "table mt_send",
     "unique index on (req_key)"),
    ("mysql", "ALTER TABLE {p}result ENGINE=MyISAM", "table mt_result", "transactions"),
    ("mysql", "ALTER TABLE {p}result ADD COLUMN mine INT NOT NULL", "mt_result.mine", "no default"),
    ("mysql", MY_TRIGGER, "table mt_result", "not today"),
    ("postgresql", "DROP TABLE {p}try", "mt_try", "missing"),
    ("postgresql", "ALTER TABLE {p}send DROP COLUMN etc4", "mt_send.etc4", "missing"),
    ("postgresql", "ALTER TABLE {p}result ALTER COLUMN provider_id TYPE VARCHAR(20)", "mt_result.provider_id", "too short"),
    ("postgresql", "ALTER TABLE {p}history ALTER COLUMN at TYPE TIMESTAMP", "mt_history.at", "timestamp"),
    ("postgresql", "DROP INDEX {p}ix_send_queue", "table mt_send", "CREATE INDEX"),
    ("postgresql", "DROP INDEX {p}ix_send_due; CREATE INDEX part ON {p}send (status, due_at) WHERE status = 1",
     "table mt_send", "no index on (status, due_at)"),
    ("postgresql", "ALTER TABLE {p}result ADD COLUMN mine INT NOT NULL", "mt_result.mine", "no default"),
    ("postgresql", "ALTER TABLE {p}send SET UNLOGGED", "table mt_send", "UNLOGGED"),
    ("postgresql", "CREATE RULE keep AS ON DELETE TO {p}send DO INSTEAD NOTHING", "rule keep", "drop the rule"),
    ("postgresql", PG_TRIGGER, "table mt_result", "not today"),
]


@pytest.mark.noschema
@pytest.mark.db("mariadb", "postgresql")
def test_harm_is_named(database):
    for dialect, harm, thing, word in HARM:
        if database.dialect != dialect:
            continue
        one = database.server.create()
        try:
            one.apply_schema()
            one.execute(harm)
            status, text = finding(one, thing)
            assert status == CHECK_FAILED, "%s: %d\n%s" % (harm, status, text)
            assert "FAIL" in text and word in text, "%s:\n%s" % (harm, text)
        finally:
            one.drop()


ODD = [
    ("mysql", "ALTER TABLE {p}send MODIFY body TEXT CHARACTER SET euckr", "table mt_send", "utf8mb4"),
    ("mysql", "ALTER TABLE {p}send MODIFY req_key VARCHAR(64) COLLATE utf8mb4_general_ci", "mt_send.req_key", "utf8mb4_bin"),
    ("mysql", "CREATE TABLE mine (m BIGINT, CONSTRAINT fk_mine FOREIGN KEY (m) REFERENCES {p}send (msg_id))", "fk_mine",
     "mine to mt_send"),
    ("mysql", "DROP VIEW {p}v_daily", "mt_v_daily", "missing"),
    ("mysql", "CREATE TRIGGER calm AFTER INSERT ON {p}result FOR EACH ROW SET @mtrelay_seen = 1", "calm", "mt_result"),
    ("postgresql", "CREATE TABLE mine (m BIGINT CONSTRAINT fk_mine REFERENCES {p}send (msg_id))", "fk_mine",
     "mine to mt_send"),
    ("postgresql", "DROP INDEX {p}ix_result_unread", "table mt_result", "read_yn"),
]


@pytest.mark.noschema
@pytest.mark.db("mariadb", "postgresql")
def test_what_is_odd_is_a_warning(database):
    for dialect, harm, thing, word in ODD:
        if database.dialect != dialect:
            continue
        one = database.server.create()
        try:
            one.apply_schema()
            one.execute(harm)
            status, text = finding(one, thing)
            assert status < CHECK_FAILED, "%s: %d\n%s" % (harm, status, text)
            assert "WARN" in text and word in text, "%s:\n%s" % (harm, text)
        finally:
            one.drop()


ORM = {name: NULL for name in (
    "req_key msg_type priority subject is_ad vars profile_key template_code payload file_key fallback_type "
    "fallback_subject fallback_body fallback_file_key send_at expire_at group_key dept_code origin_code etc1 etc2 etc3 "
    "etc4 cancel_yn").split()}


def test_what_an_application_writes_goes_in(database):
    """What is wrong with it is said by a result, not by an error at INSERT."""
    database.insert(recipient=NULL, sender=NULL, body=NULL, **ORM)
    database.insert(msg_type="", priority=7, recipient="not a number", cancel_yn="y", is_ad="?")
    database.insert(status=2, owner="x", fence=9, try_no=1, leg=1, client_key="k", provider_id="p", hold_code="9999")
    database.insert(body="가😀", send_at=Sql(database.now_sql))
    assert database.count("send") == 4
    if database.kind == "mysql56":
        return  # reads CHECK and ignores it
    for status in (6, -1):
        with pytest.raises(Exception):
            database.insert(status=status)


def test_request_keys_are_exact(database):
    database.insert(req_key="order-1")
    database.insert(req_key="ORDER-1")
    with pytest.raises(Exception):
        database.insert(req_key="order-1")


def test_times_do_not_move_by_themselves(database):
    """MySQL's first TIMESTAMP of a table is touched by every UPDATE unless its default is written out."""
    msg_id = database.insert(send_at=Sql(database.later_sql(3600)))
    before = database.rows("send", "msg_id = ?", (msg_id,))[0]
    database.execute("UPDATE {p}send SET cancel_yn = 'Y', etc1 = 'x' WHERE msg_id = ?", (msg_id,))
    after = database.rows("send", "msg_id = ?", (msg_id,))[0]
    assert (after["created_at"], after["send_at"]) == (before["created_at"], before["send_at"])
    assert after["expire_at"] is None and after["due_at"] is None


# ---- roles ---------------------------------------------------------------------------------------------------------

ROLES = ("mtrelay", "mtrelay_app", "mtrelay_read")


@pytest.fixture
def roles(database):
    """The three users with the rights of "schema --grants", run by an administrator."""
    server = database.server
    quoted = PASSWORD.replace("'", "''")
    my = database.dialect == "mysql"

    def end():
        for role in ROLES:
            if my and server.admin("SELECT 1 FROM mysql.user WHERE user = '%s'" % role):
                server.admin("DROP USER '%s'@'%%'" % role)
            elif not my and server.admin("SELECT 1 FROM pg_roles WHERE rolname = '%s'" % role):
                server.admin("DROP OWNED BY %s" % role, database.name)
                server.admin("DROP ROLE %s" % role)

    end()
    for role in ROLES:
        server.admin("CREATE USER '%s'@'%%' IDENTIFIED BY '%s'" % (role, quoted) if my else
                     "CREATE ROLE %s LOGIN PASSWORD '%s'" % (role, quoted))
    status, text = ctl(database, "schema", "--grants", "--agent", ROLES[0], "--application", ROLES[1],
                       "--reader", ROLES[2])
    assert status == 0, text
    for statement in text.split(";"):
        if statement.strip():
            server.admin(statement, database.name)
    connections = {}

    def run(role, sql):
        """None, or the database's refusal."""
        if role not in connections:
            connections[role] = database.connect(user=role)
        try:
            connections[role].cursor().execute(sql.replace("{p}", database.prefix))
        except Exception as e:
            text = str(e).lower()
            assert "denied" in text or "must be owner" in text, "%s: %s" % (sql, e)
            return text
        return None

    yield run
    for c in connections.values():
        c.close()
    end()


MAY = {
    "mtrelay": [
        "UPDATE {p}send SET status = 1, owner = 'a', fence = fence + 1 WHERE msg_id = 1",
        "INSERT INTO {p}result (msg_id, result_class, result_code) VALUES (1, 'OK', '0000')",
        "UPDATE {p}result SET rev = 1 WHERE msg_id = 1",
        "DELETE FROM {p}send WHERE msg_id = 1",
        "UPDATE {p}meta SET frozen = 'Y', freeze_reason = 'x', freeze_epoch = 1",
        "UPDATE {p}meta SET frozen = 'N'",
        "INSERT INTO {p}agent (agent_id) VALUES ('a')",
        "SELECT * FROM {p}sender",
        "SELECT * FROM {p}v_queue",
    ],
    "mtrelay_app": [
        "INSERT INTO {p}send (sender, recipient, body, req_key) VALUES ('1', '2', '3', '4')",
        "UPDATE {p}send SET cancel_yn = 'Y' WHERE req_key = '4'",
        "SELECT * FROM {p}send WHERE req_key = '4'",
        "SELECT * FROM {p}result WHERE read_yn = 'N'",
        "UPDATE {p}result SET read_yn = 'Y' WHERE msg_id = 1",
        "INSERT INTO {p}block (recipient) VALUES ('01012345678')",
        "SELECT * FROM {p}v_daily",
    ],
    "mtrelay_read": [
        "SELECT * FROM {p}v_queue",
        "SELECT * FROM {p}v_open",
        "SELECT * FROM {p}v_daily",
        "SELECT * FROM {p}v_monthly",
        "SELECT * FROM {p}agent",
        "SELECT * FROM {p}history",
        "SELECT msg_id, recipient, result_class, result_code FROM {p}result",
        "SELECT msg_id, status, due_at FROM {p}send",
    ],
}
MAY_NOT = {
    "mtrelay": [
        "DELETE FROM {p}result",
        "DROP TABLE {p}send",
        "ALTER TABLE {p}send ADD COLUMN x INT",
        "CREATE TABLE mine (x INT)",
        "UPDATE {p}meta SET schema_version = 2",
        "DELETE FROM {p}meta",
        "UPDATE {p}history SET reason = 'x'",
        "INSERT INTO {p}sender (sender) VALUES ('1')",
        "DELETE FROM {p}block",
        "UPDATE {p}code SET class = 'OK'",
    ],
    "mtrelay_app": [
        "INSERT INTO {p}send (sender, recipient, body, status) VALUES ('1', '2', '3', 2)",
        "INSERT INTO {p}send (msg_id, body) VALUES (1, '3')",
        "UPDATE {p}send SET status = 0",
        "UPDATE {p}send SET body = 'x'",
        "DELETE FROM {p}send",
        "INSERT INTO {p}result (msg_id, result_class, result_code) VALUES (9, 'OK', '0000')",
        "UPDATE {p}result SET result_class = 'OK'",
        "DELETE FROM {p}result",
        "SELECT * FROM {p}report",
        "SELECT * FROM {p}try",
        "UPDATE {p}agent SET incarnation = 0",
        "UPDATE {p}meta SET frozen = 'N'",
        "INSERT INTO {p}sender (sender) VALUES ('1')",
        "DROP TABLE {p}result",
    ],
    "mtrelay_read": [
        "SELECT body FROM {p}send",
        "SELECT * FROM {p}send",
        "SELECT payload FROM {p}send",
        "SELECT body FROM {p}result",
        "SELECT * FROM {p}result",
        "SELECT * FROM {p}recv",
        "SELECT * FROM {p}file",
        "INSERT INTO {p}send (body) VALUES ('x')",
        "UPDATE {p}result SET read_yn = 'Y'",
        "DELETE FROM {p}history",
    ],
}


@pytest.mark.db("mariadb", "postgresql", "mysql56")
def test_roles(database, roles):
    database.insert()
    for role, statements in MAY_NOT.items():
        for sql in statements:
            assert roles(role, sql), "%s may: %s" % (role, sql)
    for role, statements in MAY.items():
        for sql in statements:
            refusal = roles(role, sql)
            assert refusal is None, "%s may not: %s: %s" % (role, sql, refusal)


@pytest.mark.db("mariadb", "postgresql")
def test_check_as_other_users(database, roles):
    """The agent's own rights are enough; a reader's are not, and the check says what is missing."""
    config = database.agent_config

    def as_user(role):
        database.agent_config = lambda **extra: dict(config(**extra), user=role)

    as_user("mtrelay")
    status, text = ctl(database, "schema", "--check")
    assert "FAIL" not in text, text
    as_user("mtrelay_read")
    status, text = ctl(database, "schema", "--check")
    assert status == CHECK_FAILED
    assert "--grants" in text and "FAIL" in text
