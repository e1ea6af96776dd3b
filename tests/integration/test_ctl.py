"""mtrelayctl: what an operator is told, and what mtrelayd says in bad surroundings, where nothing may be sent."""

import contextlib
import json
import os
import re
import subprocess

import pytest

from lib import paths
from lib.db import PASSWORD, Sql
from lib.sim import Sim
from lib.wait import wait_until

M = "010-0000-%04d"     # recipients with a meaning, see tests/sim/mtsim.py
KEY = "0" * 30


def sql(database, text):
    """SQL of one's own with now + SECONDS written as @SECONDS@."""
    return re.sub(r"@(-?\d+)@", lambda m: database.later_sql(int(m.group(1))), text)


def put(database, status, **columns):
    """A row as an agent would have left it (no agent runs)."""
    msg = database.insert(**{k: v for k, v in columns.items() if not k.startswith("_")})
    database.execute(sql(database, "UPDATE {p}send SET status = ?, fence = 1, owner = 'gone', channel = 'infobip', client_key = ?, "
                         "due_at = @%d@, first_sent_at = @-5@ WHERE msg_id = ?" % columns.get("_due", 60)),
                     (status, KEY, msg))
    return msg


def check_lines(done):
    """check's lines as (level, thing, sentence)."""
    return [(m.group(1), m.group(2), m.group(3))
            for m in re.finditer(r"^(OK|WARN|FAIL) +(.+?)  +(.+)$", done.stdout, re.M)]


def explain(a, msg, status):
    done = a.ctl("explain", msg, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


# ---- schema ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect,word", [("mysql", "AUTO_INCREMENT"), ("postgresql", "TIMESTAMPTZ"),
                                          ("sqlite", "AUTOINCREMENT")])
def test_scripts_are_printed_without_database_and_configuration(dialect, word, folder):
    argv = [paths.program("mtrelayctl"), "-c", folder + "/none.conf", "schema", "--dialect", dialect, "--prefix", "zz_"]
    done = subprocess.run(argv + ["--print"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert word.lower() in done.stdout.lower() and "zz_send" in done.stdout and "mt_send" not in done.stdout
    done = subprocess.run(argv + ["--grants", "--agent", "relay9", "--application", "shop9"], capture_output=True, text=True)
    assert done.returncode == 0
    assert dialect == "sqlite" or ("relay9" in done.stdout and "shop9" in done.stdout and "mtrelay_read" in done.stdout)


def test_wrong_use_is_one_sentence(folder):
    for words in (["schema"], ["schema", "--print", "--apply"], ["schema", "--print", "--dialect", "access"],
                  ["explain"], ["explain", "x"], ["trace"], ["trace", "1", "--key", "k"], ["cancel"], ["cancel", "1", "--key", "k"],
                  ["cancel", "1", "two"], ["send", "hello"], ["send", "--to", "1", "--from", "2", "--wait", "5", "x"],
                  ["unfreeze", "--by", "me"], ["nonsense"], ["check", "all"]):
        done = subprocess.run([paths.program("mtrelayctl"), "-c", folder + "/none.conf"] + words, capture_output=True, text=True)
        assert done.returncode == 64, (words, done.stdout + done.stderr)
        assert [line for line in done.stderr.splitlines() if line.startswith("mtrelayctl: ")], words


@pytest.mark.noschema
def test_apply_says_what_it_met_and_made(database, agent):
    a = agent(start=False)
    done = a.ctl("schema", "--check", check=False)
    assert done.returncode == 2 and "mtrelayctl schema --apply" in done.stdout
    assert "met no tables mt_...; made them, version 1" in a.ctl("schema", "--apply").stdout
    assert "met tables mt_... of version 1, which is right" in a.ctl("schema", "--apply").stdout
    assert a.ctl_json("schema", "--apply")["from"] == 1
    database.insert()


# ---- check ----------------------------------------------------------------------------------------------------------


def test_check_finds_nothing_where_all_is_well(database, sim, agent):
    a = agent(start=False)
    done = a.ctl("check", check=False)
    # The row format that MySQL 5.6 has by default cannot hold every message.
    lines = [line for line in check_lines(done) if database.kind != "mysql56" or "row format Compact" not in line[2]]
    assert {level for level, _, _ in lines} == {"OK"}, done.stdout
    assert done.returncode == (1 if database.kind == "mysql56" else 0)
    things = " ".join(thing for _, thing, _ in lines)
    for word in ("configuration", "files", "state_dir", "database", "table mt_send", "durability", "clock", "channel infobip"):
        assert word in things
    got = a.ctl_json("check", check=False)
    assert got["ok"] and len(got["lines"]) == len(check_lines(done)) and got["lines"][0]["thing"] == "configuration"
    assert not sim.truth() and database.count("send") == database.count("result") == 0


SURROUNDINGS = {}


def surrounding(*kinds):
    def note(f):
        SURROUNDINGS[f.__name__] = (kinds, f)
        return f
    return note


def admin(database, text):
    """As the owner of the server."""
    return database.server.admin(text, database.name)


@surrounding("mariadb", "postgresql")
def wrong_password(database, a, undo):
    a.write({"database": {"password_file": paths.write_file(a.dir + "/wrong.pass", "not this one\n")}})
    return r"(?i)denied|password authentication failed"


@surrounding("sqlite", "mariadb", "postgresql")
def missing_table(database, a, undo):
    database.execute("DROP TABLE {p}try")
    return r"mt_try.*is missing"


@surrounding("sqlite", "mariadb", "postgresql")
def missing_column(database, a, undo):
    database.execute("ALTER TABLE {p}result DROP COLUMN carrier")
    return r"mt_result\.carrier.*is missing"


@surrounding("mariadb", "postgresql")
def short_column(database, a, undo):
    database.execute("ALTER TABLE {p}report MODIFY provider_id VARCHAR(20)" if database.dialect == "mysql" else
                     "ALTER TABLE {p}report ALTER COLUMN provider_id TYPE VARCHAR(20)")
    return r"mt_report\.provider_id.*too short \(20\)"


@surrounding("sqlite", "mariadb", "postgresql")
def missing_index(database, a, undo):
    name = {"sqlite": "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'mt_send' AND name LIKE '%queue'",
            "mysql": "SELECT index_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND "
                     "table_name = 'mt_send' AND index_name LIKE '%queue' LIMIT 1",
            "postgresql": "SELECT indexname FROM pg_indexes WHERE tablename = 'mt_send' AND indexname LIKE '%queue'"}
    found = database.one(name[database.dialect])
    database.execute("DROP INDEX %s%s" % (found, " ON mt_send" if database.dialect == "mysql" else ""))
    return r"mt_send.*has no index on \(status, msg_type, priority, send_at, msg_id\).*CREATE INDEX"


@surrounding("sqlite", "mariadb", "postgresql")
def weak_durability(database, a, undo):
    if database.kind == "sqlite":
        a.write({"database": {"connection": a.config["database"]["connection"].replace("SyncPragma=FULL", "SyncPragma=NORMAL")}})
        return r"power failure loses.*SyncPragma=FULL"
    if database.kind == "mariadb":
        undo.callback(admin, database, "SET GLOBAL innodb_flush_log_at_trx_commit = 1")
        admin(database, "SET GLOBAL innodb_flush_log_at_trx_commit = 0")
        return r"innodb_flush_log_at_trx_commit = 0.*set it to 1"
    admin(database, 'ALTER DATABASE "%s" SET synchronous_commit = off' % database.name)
    return r"synchronous_commit = off.*set it to on"


@surrounding("mariadb", "postgresql")
def read_only_account(database, a, undo):
    quoted = PASSWORD.replace("'", "''")
    if database.kind == "mariadb":
        admin(database, "CREATE USER 'onlyread'@'%%' IDENTIFIED BY '%s'" % quoted)
        undo.callback(admin, database, "DROP USER 'onlyread'@'%'")
        admin(database, "GRANT SELECT ON `%s`.* TO 'onlyread'@'%%'" % database.name)
    else:
        admin(database, "CREATE ROLE onlyread LOGIN PASSWORD '%s'" % quoted)
        undo.callback(admin, database, "DROP ROLE onlyread")
        undo.callback(admin, database, "DROP OWNED BY onlyread")
        admin(database, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO onlyread")
    a.write({"database": {"user": "onlyread"}})
    return r"(?i)denied|no right|may not"


@surrounding("sqlite", "mariadb", "postgresql")
def failing_trigger(database, a, undo):
    if database.kind == "sqlite":
        database.execute("CREATE TRIGGER nope BEFORE INSERT ON mt_result BEGIN SELECT RAISE(ABORT, 'the audit is full'); END")
    elif database.kind == "mariadb":
        database.execute("CREATE TRIGGER nope BEFORE INSERT ON mt_result FOR EACH ROW SIGNAL SQLSTATE '45000' "
                         "SET MESSAGE_TEXT = 'the audit is full'")
    else:
        database.execute("CREATE FUNCTION nope() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''the audit is full''; "
                         "END'")
        database.execute("CREATE TRIGGER nope BEFORE INSERT ON mt_result FOR EACH ROW EXECUTE FUNCTION nope()")
    return r"mt_result.*INSERT fails when tried.*trigger"


@pytest.mark.parametrize("name", sorted(SURROUNDINGS))
def test_bad_databases_have_their_sentence_and_nothing_is_sent(name, database, sim, agent):
    kinds, spoil = SURROUNDINGS[name]
    if database.kind not in kinds:
        pytest.skip("this cannot be made with %s" % database.kind)
    a = agent(start=False)
    msg = database.insert(body="must not go out")
    with contextlib.ExitStack() as undo:
        pattern = spoil(database, a, undo)
        database.forget()
        done = a.ctl("check", check=False)
        assert done.returncode == 2, done.stdout + done.stderr
        fails = [line for line in check_lines(done) if line[0] == "FAIL"]
        assert [f for f in fails if re.search(pattern, f[1] + " " + f[2])], done.stdout
        assert ("OK", "channel infobip") in [line[:2] for line in check_lines(done)], "the rest is looked at too"
        a.start(wait=False)
        assert a.wait_exit() in (78, 69), a.log()
        assert re.search(pattern, a.log()), a.log()
        assert PASSWORD not in done.stdout + a.log() and "01012345678" not in done.stdout + a.log()
        database.forget()
        assert database.one("SELECT status FROM {p}send WHERE msg_id = ?", (msg,)) == 0
        assert not sim.truth()
    if name == "weak_durability":
        a.write({"database": {"accept_weak_durability": True}})
        if database.kind == "postgresql":
            assert a.ctl("check", check=False).returncode == 1
        a.start()
        database.wait_result(msg, fail=a.dead_text, result_class="OK")
        a.stop()


TLS = {
    "wronghost": (dict(cert_kind="wronghost"), r"not trusted: .*(host name|for another)"),
    "expired": (dict(cert_kind="expired"), r"not trusted: .*expired"),
    "selfsigned": (dict(cert_kind="selfsigned"), r"not trusted: .*self-signed"),
    "unknownca": (dict(cert_kind="unknownca"), r"not trusted: .*(authority|issuer|ca_file)"),
    "tls11": (dict(tls_min="1.1", tls_max="1.1"), r"no TLS with .*"),
}


@pytest.mark.db("sqlite")
@pytest.mark.parametrize("kind", sorted(TLS))
def test_bad_certificates_have_their_sentence_and_nothing_is_sent(kind, database, agent):
    options, pattern = TLS[kind]
    with Sim(**options) as provider:
        a = agent(start=False, sim=provider)
        msg = database.insert(body="must not go out")
        done = a.ctl("check", check=False)
        assert done.returncode == 2, done.stdout
        fails = [line for line in check_lines(done) if line[0] == "FAIL"]
        assert [f[1] for f in fails] == ["channel infobip"] and re.search(pattern, fails[0][2]), done.stdout
        a.start()
        a.wait_log(r"channel\.state.*(REFUSED|DOWN).*")
        assert re.search(pattern, a.log()), a.log()
        # A server that breaks the handshake off may be better in a minute; a certificate is not.
        state, remedy, status = ("DOWN", "tried again by itself", 1) if kind == "tls11" else ("REFUSED", "mtrelayctl check", 2)
        wait_until(lambda: "Channel infobip of agent test-1 is " + state in a.ctl("explain", msg, check=False).stdout, 10,
                   "the channel's state in mt_agent", fail=a.dead_text)
        assert remedy in explain(a, msg, 2)
        assert a.ctl("status", check=False).returncode == status
        a.stop()
        assert database.result(msg) is None and not provider.truth()


@pytest.mark.db("sqlite")
def test_plain_http_goes_no_further_than_this_machine(database, sim, agent):
    a = agent(start=False, channel={"url": "http://192.0.2.7:8080"})
    done = a.ctl("check", check=False)
    assert done.returncode == 2
    [line] = [line for line in check_lines(done) if line[0] == "FAIL"]
    assert "http://" in line[2] and "loopback" in line[2] and "mtrelay.conf:" in line[2]
    assert json.loads(a.ctl("check", "--json", check=False).stdout)["worst"] == "FAIL"
    database.insert(body="must not go out")
    a.start(wait=False)
    assert a.wait_exit() == 78
    assert "loopback" in a.log() and not sim.truth()


@pytest.mark.db("sqlite")
def test_wrong_api_key_and_files_that_the_agent_may_not_read(database, sim, agent, folder):
    bad = paths.write_file(os.path.join(folder, "bad.key"), "not-the-key-77\n")
    a = agent(start=False, channel={"api_key_file": bad})
    done = a.ctl("check", check=False)
    assert done.returncode == 2 and re.search(r"FAIL +channel infobip +.*refuses the API key", done.stdout)
    assert "not-the-key-77" not in done.stdout
    if os.geteuid() == 0:
        a.write({"agent": {"user": "nobody"}})
        done = a.ctl("check", check=False)
        assert re.search(r"FAIL +files +.*cannot open %s \(Permission denied\)" % re.escape(bad), done.stdout), done.stdout
        a.write({"agent": {"user": "no-such-user"}})
        assert re.search(r"FAIL +user +there is no user no-such-user", a.ctl("check", check=False).stdout)


@pytest.mark.db("sqlite")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as another user")
def test_check_by_root_looks_at_the_database_as_the_agents_user(agent, database):
    a = agent(start=False, extra={"agent": {"user": "nobody"}})
    os.chmod(database.path, 0o644)
    done = a.ctl("check", check=False)
    assert [line for line in check_lines(done) if line[0] == "FAIL" and "readonly database" in line[2]], done.stdout


@pytest.mark.db("sqlite")
@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no tmpfs here")
def test_check_warns_of_a_state_folder_in_memory(agent, database):
    a = agent(start=False, extra={"agent": {"state_dir": "/dev/shm"}})
    done = a.ctl("check", check=False)
    assert done.returncode == 1
    assert [line for line in check_lines(done) if line[0] == "WARN" and line[1] == "state_dir" and "reboot" in line[2]]


# ---- send -----------------------------------------------------------------------------------------------------------


def test_send_tells_the_result(database, sim, agent):
    a = agent()
    done = a.ctl("send", "--to", "01055556666", "--from", "15880000", "a test 시험")
    assert re.search(r"^message \d+: OK 0000 .*SMS by channel infobip", done.stdout, re.M), done.stdout
    assert [t.text for t in sim.truth().values()] == ["a test 시험"]
    assert "01055556666" not in done.stdout and "시험" not in done.stdout
    done = a.ctl("send", "--to", M % 2, "--from", "15880000", "x", check=False)
    assert done.returncode == 2 and re.search(r"FAIL 4\d\d\d", done.stdout)
    done = a.ctl("send", "--to", "letters", "--from", "15880000", "x", "--json", check=False)
    assert done.returncode == 2 and json.loads(done.stdout)["result"]["result_code"] == "2001"
    done = a.ctl("send", "--to", "01055556666", "--from", "15880000", "--wait", "0s", "not waited for")
    assert re.fullmatch(r"message \d+ is in the table \(request key mtrelayctl-[0-9a-f]{16}\)\n", done.stdout)
    database.wait_empty(fail=a.dead_text)
    a.stop()
    done = a.ctl("send", "--to", "01055556666", "--from", "15880000", "--wait", "100ms", "nobody sends it", check=False)
    assert done.returncode == 1 and "no result" in done.stdout and "Start mtrelayd" in done.stdout
    assert re.search("No agent is running: the last one, test-1 on .*, was ended .* ago", done.stdout)
    assert database.count("send") == 1


# ---- explain --------------------------------------------------------------------------------------------------------


def test_explain_without_an_agent(database, agent):
    a = agent(start=False)
    msg = database.insert()
    assert "No agent ever worked on these tables" in explain(a, msg, 2)
    later = database.insert(send_at=Sql(database.later_sql(7260)))
    assert re.search(r"reserved for .* in 2 h [01] min", explain(a, later, 2))
    cancelled = database.insert(cancel_yn="y")
    assert "ends with 3007" in explain(a, cancelled, 2)
    over = database.insert(expire_at=Sql(database.later_sql(-60)))
    assert re.search(r"over (60|61|62) s ago", explain(a, over, 2))
    assert "No route of %s is for type AT" % a.config_path in explain(a, database.insert(msg_type="at"), 2)
    assert '"CARRIERPI' in explain(a, database.insert(msg_type="CARRIERPI"[:8]), 2).replace('"CARRIERP"', '"CARRIERPI')
    assert "priority 7" in explain(a, database.insert(priority=7), 2)
    assert "There is no message 987654" in explain(a, 987654, 2)
    sentences = json.loads(a.ctl("explain", msg, "--json", check=False).stdout)
    assert sentences["msg_id"] == msg and sentences["status"] == 2 and len(sentences["sentences"]) == 1
    assert database.count("send") == 7 and database.count("result") == 0


def test_explain_rows_under_way_whose_agent_is_gone(database, agent):
    a = agent(start=False)
    assert "Agent gone gives no sign of life" in explain(a, put(database, 1), 2)
    assert "It was sent: infobip has it" in explain(a, put(database, 2), 2)
    assert "no answer came" in explain(a, put(database, 3), 2)
    held = put(database, 4)
    assert "It is held" in explain(a, held, 2)
    database.execute("UPDATE {p}send SET pend_class = 'OK', pend_code = '0000' WHERE msg_id = ?", (held,))
    assert "outcome is known (OK 0000)" in explain(a, held, 2)
    off = put(database, 5, _due=600)
    assert re.search(r"put off until .* for 10 min", explain(a, off, 2))


def test_explain_with_an_agent(database, sim, agent):
    a = agent(extra={"times": {"idle_poll": "60s"}})
    a.ctl("pause", "infobip")
    msg = database.insert()
    wait_until(lambda: "infobip=PAUSED" in (database.one("SELECT channels FROM {p}agent WHERE agent_id = 'test-1'") or ""), 10, "the pause in mt_agent",
               fail=a.dead_text)
    assert "Channel infobip of agent test-1 is PAUSED: paused by an operator: mtrelayctl resume." in explain(a, msg, 2)
    later = database.insert(send_at=Sql(database.later_sql(3000)))
    # Another listed agent that never replays: without it the freeze would end by itself.
    database.execute("INSERT INTO {p}agent (agent_id) VALUES ('never-back')")
    database.execute("UPDATE {p}meta SET frozen = 'Y', freeze_reason = 'commits were lost', freeze_epoch = freeze_epoch + 1")
    assert "frozen (commits were lost)" in explain(a, later, 2)
    done = a.ctl("unfreeze", "--by", "kim", "--reason", "restored 복구")
    assert "commits were lost" in done.stdout
    assert "nothing was frozen" in a.ctl("unfreeze", "--by", "kim", "--reason", "again").stdout
    assert [(h["who"], h["reason"]) for h in database.rows("history", "event = 'unfreeze'", order="id")] == [("kim", "restored 복구")]
    assert database.one("SELECT frozen FROM {p}meta") == "N"
    a.ctl("resume", "infobip")
    wait_until(lambda: "infobip=UP" in database.one("SELECT channels FROM {p}agent WHERE agent_id = 'test-1'"), 10, "the channel up", fail=a.dead_text)
    text = explain(a, later, 1)
    assert "reserved" in text and "agent" not in text.lower().replace("agents", "")
    a.stop()


def test_explain_of_a_message_that_is_sent_and_done(database, sim, agent):
    sim.pause_reports()
    a = agent()
    msg = database.insert()
    wait_until(lambda: database.one("SELECT status FROM {p}send WHERE msg_id = ?", (msg,)) == 2, 10, "the row to be accepted",
               fail=a.dead_text)
    assert "It was sent: infobip has it" in explain(a, msg, 0)
    sim.resume_reports()
    database.wait_result(msg, result_class="OK")
    assert "It is done" in explain(a, msg, 0)
    a.stop()


# ---- trace ----------------------------------------------------------------------------------------------------------


def test_trace_is_one_line_of_time_without_personal_data(database, sim, agent):
    a = agent()
    msg = database.insert("01087654321", "secret text", sender="0212345678", req_key="order/17")
    database.wait_result(msg, fail=a.dead_text, result_class="OK")
    a.stop()
    waiting = database.insert("01087654321", "secret text", req_key="order/18")
    text = a.ctl("trace", msg).stdout
    assert a.ctl("trace", "--key", "order/17").stdout == text
    for word in ("inserted", "sent, attempt 1  channel infobip", "result OK 0000", "request key order/17"):
        assert word in text, text
    times = re.findall(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d\d\d)", text, re.M)
    assert len(times) >= 3 and times == sorted(times)
    both = text + a.ctl("trace", waiting).stdout
    assert "READY" in both and "010****4321" in both
    for secret in ("01087654321", "0212345678", "secret"):
        assert secret not in both + a.ctl("trace", waiting, "--json").stdout
    got = a.ctl_json("trace", msg)
    assert got["row"] is None and got["results"][0]["result_code"] == "0000" and got["results"][0]["req_key"] == "order/17"
    assert got["results"][0]["done_at"].endswith("Z")
    for words in (["987654"], ["--key", "no such key"]):
        done = a.ctl("trace", *words, check=False)
        assert done.returncode == 2 and not done.stdout and done.stderr.startswith("mtrelayctl: no ")


def test_trace_shows_attempts_reports_and_history(database, agent):
    a = agent(start=False)
    msg = put(database, 3)
    database.execute("INSERT INTO {p}try (msg_id, leg, try_no, client_key, channel, provider_id, outcome, code) VALUES "
                     "(?, 0, 1, 'older', 'infobip', 'P1', 'REFUSED', '6001')", (msg,))
    database.execute("INSERT INTO {p}report (channel, client_key, class, provider_code, code) VALUES ('infobip', ?, 'FAIL', '27', "
                     "'4001')", (KEY,))
    database.execute("INSERT INTO {p}report (channel, provider_id, class, code) VALUES ('infobip', 'P1', 'OK', '0000')")
    database.execute("INSERT INTO {p}report (channel, provider_id, class, code) VALUES ('infobip', 'other', 'OK', '0000')")
    database.execute("INSERT INTO {p}history (msg_id, event, who, from_status, to_status, reason) VALUES "
                     "(?, 'hold', 'kim', 3, 4, 'asked the provider')", (msg,))
    text = a.ctl("trace", msg).stdout
    for word in ("attempt 1  REFUSED  code 6001", "FAIL  code 4001  provider's code 27", "provider's id P1",
                 "hold", "UNKNOWN", "HELD", "kim: asked the provider"):
        assert word in text, text
    assert "other" not in text
    assert sorted(e["source"] for e in a.ctl_json("trace", msg)["events"]) == ["attempt", "history", "report", "report"]


def test_trace_and_explain_show_parts(database, agent):
    a = agent(start=False)
    msg = put(database, 2)
    for part, outcome in ((1, "DELIVERED"), (2, "ACCEPTED"), (3, "ACCEPTED")):
        database.execute("INSERT INTO {p}try (msg_id, leg, try_no, client_key, channel, provider_id, outcome, part) VALUES "
                         "(?, 0, 1, ?, 'infobip', ?, ?, ?)", (msg, KEY, "P%d" % part, outcome, part))
    text = a.ctl("trace", msg).stdout
    for word in ("part 1 of attempt 1  DELIVERED", "provider's id P1", "part 3 of attempt 1  ACCEPTED", "provider's id P3"):
        assert word in text, text
    assert sorted(e["part"] for e in a.ctl_json("trace", msg)["events"]) == [1, 2, 3]
    assert re.search(r"sent in 3 parts: infobip has them .*; 1 delivered, 0 failed, for 2 no delivery", explain(a, msg, 2))
    done = database.insert()
    database.execute("INSERT INTO {p}result (msg_id, result_class, result_code, sent_type, parts, client_key) VALUES "
                     "(?, 'OK', '0000', 'SMS', 3, 'k')", (done + 1000,))
    assert "OK 0000  in 3 parts" in a.ctl("trace", done + 1000).stdout


# ---- cancel ---------------------------------------------------------------------------------------------------------


def test_cancel_counts_truly(database, agent):
    a = agent(start=False)
    ready = [database.insert() for _ in range(3)]
    rows = ready + [put(database, n) for n in (5, 1, 2, 3, 4)]
    done = a.ctl("cancel", *rows, ready[0], 987654, "--json", check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"ok": True, "waiting": 4, "claimed": 1, "too_late": 3, "done": 0, "unknown": 1}
    marked = {r["msg_id"] for r in database.rows("send", "cancel_yn = 'Y'")}
    assert marked == set(rows[:5])
    assert a.ctl("cancel", 987654, check=False).returncode == 2
    done = a.ctl("cancel", "--key", "none", check=False)
    assert done.returncode == 2 and "no message has the request key none" in done.stderr
    assert a.ctl("cancel", "--group", "none", check=False).returncode == 2


def test_cancelled_rows_end_with_3007_and_sent_ones_do_not(database, sim, agent, oracle):
    a = agent()
    sent = database.insert(req_key="sent", group_key="g")
    database.wait_result(sent, fail=a.dead_text, result_class="OK")
    a.ctl("pause", "infobip")
    one = database.insert(req_key="one")
    database.insert_many(620, group_key="g")
    other = database.insert(group_key="G")
    oracle.snapshot()
    done = a.ctl("cancel", "--key", "one")
    assert re.search(r"^waiting +1 ", done.stdout, re.M) and "The proof is the result" in done.stdout
    done = a.ctl("cancel", "--key", "sent", check=False)
    assert done.returncode == 2 and re.search(r"^done +1 ", done.stdout, re.M)
    got = a.ctl_json("cancel", "--group", "g")
    assert (got["waiting"], got["too_late"], got["unknown"]) == (620, 0, 0)
    database.wait_result(one, fail=a.dead_text, result_class="FAIL", result_code="3007")
    wait_until(lambda: database.count("result", "result_code = '3007'") == 621, 30, "621 cancelled messages", fail=a.dead_text)
    a.ctl("resume", "infobip")
    database.wait_result(other, fail=a.dead_text, result_class="OK")
    assert database.result(sent)["result_class"] == "OK"
    assert len(sim.truth()) == 2
    oracle.expect(sent)
    oracle.check()
    a.stop()


# ---- rights ---------------------------------------------------------------------------------------------------------


@pytest.mark.db("mariadb", "postgresql")
def test_a_login_without_the_rights_is_told_whose_to_use(database, agent, folder):
    quoted = PASSWORD.replace("'", "''")
    with contextlib.ExitStack() as undo:
        if database.kind == "mariadb":
            admin(database, "CREATE USER 'ctlread'@'%%' IDENTIFIED BY '%s'" % quoted)
            undo.callback(admin, database, "DROP USER 'ctlread'@'%'")
        else:
            admin(database, "CREATE ROLE ctlread LOGIN PASSWORD '%s'" % quoted)
            undo.callback(admin, database, "DROP ROLE ctlread")
            undo.callback(admin, database, "DROP OWNED BY ctlread")
        a = agent(start=False)
        for one in a.ctl("schema", "--grants", "--reader", "ctlread").stdout.split(";"):
            if "ctlread" in one:
                admin(database, one.strip())
        msg = database.insert()
        secret = paths.write_file(os.path.join(folder, "reader.pass"), PASSWORD + "\n")
        who = ("--user", "ctlread", "--password-file", secret)
        assert "No agent ever worked" in a.ctl(*who, "explain", msg, check=False).stdout
        assert "inserted" in a.ctl(*who, "trace", msg).stdout
        for words, needed in ((["cancel", msg], "a login that may write"),
                              (["schema", "--apply"], "may create tables"),
                              (["send", "--to", "01012345678", "--from", "15880000", "x"], "a login that may write"),
                              (["unfreeze", "--by", "me", "--reason", "x"], "a login that may write")):
            done = a.ctl(*who, *words, check=False)
            assert done.returncode == 77 and needed in done.stderr, (words, done.stdout + done.stderr)
            assert not done.stdout
        assert database.count("send", "cancel_yn = 'Y'") == 0 and database.count("send") == 1
