"""Bad rows end with their code or are refused by the database, and their neighbours go out."""

import os
import subprocess

import pytest

from lib import db as dbs
from lib import volume
from lib.db import NULL, Sql
from lib.wait import wait_until

GOOD = "010-1111-2222"
LONG = "가" * 2001

# name, columns, code ("" goes out as it should)
ROWS = [
    ("no recipient", {"recipient": NULL}, "2001"),
    ("empty recipient", {"recipient": ""}, "2001"),
    ("letters in the number", {"recipient": "010-12ab-3456"}, "2001"),
    ("too short", {"recipient": "010"}, "2001"),
    ("recipient of 254 characters", {"recipient": "0" * 254}, "2001"),
    ("no sender", {"sender": NULL}, "2002"),
    ("letters in the sender", {"sender": "15ab88"}, "2002"),
    ("no body", {"body": NULL}, "2003"),
    ("empty body", {"body": ""}, "2003"),
    ("blanks only", {"body": " \r\n\t "}, "2003"),
    ("too long for SMS", {"body": "가" * 46, "msg_type": "SMS"}, "2004"),
    ("too long for LMS", {"body": LONG}, "2004"),
    ("as long as MySQL's TEXT takes", {"body": "m" * 65000}, "2004"),
    ("one megabyte", {"body": "m" * 1000000}, "2004"),
    ("a control character", {"body": "bell \a rings"}, "2005"),
    ("unknown type", {"msg_type": "FAX"}, "2006"),
    ("type with blanks and small letters", {"msg_type": " lms "}, ""),
    ("priority 7", {"priority": 7}, "2006"),
    ("priority -1", {"priority": -1}, "2006"),
    ("broken JSON in vars", {"vars": "{\"name\": "}, "2009"),
    ("vars is no object", {"vars": "[1,2]"}, "2009"),
    ("missing variable", {"body": "Dear #{name}", "vars": "{}"}, "2010"),
    ("a variable filled in", {"body": "Dear #{name}", "vars": "{\"name\": \"Kim\"}"}, ""),
    ("explicit NULLs of an ORM",
     {c: NULL for c in ("msg_type", "priority", "subject", "is_ad", "vars", "send_at", "expire_at", "cancel_yn",
                        "group_key", "req_key", "etc1", "file_key", "fallback_type", "payload")}, ""),
    ("a reseller id that is no registration number", {"origin_code": "o-1"}, "6006"),
    ("line ends and tabs", {"body": "one\ntwo\r\n\tthree"}, ""),
    ("quotes and backslashes", {"body": "it's \\ \"quoted\" \\n; DROP TABLE mt_send; --"}, ""),
]

# What the database itself refuses: dialect, name -> what it says.  TEXT of MySQL holds 65,535 bytes.
REFUSED = {("mysql", "one megabyte"): "Data too long"}


def test_bad_rows_end_with_their_code_and_neighbours_go_out(database, sim, agent, oracle):
    a = agent(start=False)
    cases = []
    for n, (name, columns, code) in enumerate(ROWS):
        if (database.dialect, name) in REFUSED:
            with pytest.raises(Exception, match=REFUSED[database.dialect, name]):
                database.insert(recipient=GOOD, **columns)
            database.forget()
            continue
        cases.append((name, database.insert(**dict({"recipient": GOOD, "body": "row %d" % n}, **columns)), code))
        cases.append(("neighbour of " + name, database.insert(recipient="010-2222-%04d" % n, body="neighbour"), ""))
    oracle.snapshot()
    a.start()
    wrong = []
    for name, msg, code in cases:
        row = database.wait_result(msg, 40, fail=a.dead_text)
        expect = ("FAIL", code) if code else ("OK", "0000")
        if (row["result_class"], row["result_code"]) != expect:
            wrong.append("%s: %s %s (%s), expected %s" % (name, row["result_class"], row["result_code"],
                                                         row["result_text"], expect))
        elif code:
            assert row["result_text"], name
    assert not wrong, "\n".join(wrong)
    oracle.check()
    texts = [t.text for t in sim.truth().values()]
    assert "Dear Kim" in texts and ROWS[-1][1]["body"] in texts


def test_bytes_that_are_no_text(database, sim, agent):
    """Invalid UTF-8 and NUL: refused by the server, or by us with 2005."""
    a = agent()
    if database.kind == "sqlite":
        # mt_result keeps what was written, which Python would not decode.
        database.conn.text_factory = lambda b: b.decode("utf-8", "replace")
        ids = [database.insert(body=Sql("CAST(x'68c328' AS TEXT)")), database.insert(body=Sql("CAST(x'680069' AS TEXT)"))]
        for msg in ids:
            database.wait_result(msg, fail=a.dead_text, result_class="FAIL", result_code="2005")
    elif database.kind == "mariadb":
        with pytest.raises(Exception, match="Incorrect string value"):
            database.insert(body=Sql("_binary x'68c328'"))
        database.forget()
        msg = database.insert(body=Sql("_utf8mb4 x'680069'"))
        database.wait_result(msg, fail=a.dead_text, result_class="FAIL", result_code="2005")
    else:
        for bad in ("E'h\\xc3\\x28'", "chr(0)"):
            with pytest.raises(Exception, match="invalid byte sequence|null character"):
                database.insert(body=Sql(bad))
            database.forget()
    database.wait_result(database.insert(), result_class="OK")
    assert len(sim.truth()) == 1


def test_impossible_dates(database, sim, agent):
    """The server's date type refuses them; where it lets a zero date through, the row ends with a 2xxx code."""
    a = agent()
    for bad in ("2026-02-30 10:00:00", "not a date", "0000-00-00 00:00:00"):
        try:
            msg = database.insert(send_at=bad)
        except Exception:
            database.forget()
            continue
        row = database.wait_result(msg, fail=a.dead_text, result_class="FAIL")
        assert row["result_code"].startswith("2"), (bad, row)
    if database.kind == "mariadb":
        conn = database.connect()
        conn.cursor().execute("SET sql_mode = ''")
        msg = database.insert(conn=conn, send_at="0000-00-00 00:00:00")
        row = database.wait_result(msg, fail=a.dead_text, result_class="FAIL", result_code="2013")
    database.wait_result(database.insert(), result_class="OK")
    assert len(sim.truth()) == 1


@pytest.mark.parametrize("zone", ["UTC", "Asia/Seoul", "America/New_York"])
def test_times_by_function_and_by_literal(database, sim, agent, zone):
    """A session anywhere: NOW() goes out now, a literal two seconds ahead when it should, one in the past at once."""
    a = agent()
    conn = database.connect(tz=zone)
    if database.kind == "sqlite":
        function, literal = "strftime('%Y-%m-%d %H:%M:%f','now')", "strftime('%Y-%m-%d %H:%M:%f','now','+2 seconds')"
        past = "strftime('%Y-%m-%d %H:%M:%f','now','-1 hour')"
    elif database.kind == "mariadb":
        function, literal, past = "NOW()", "NOW() + INTERVAL 2 SECOND", "NOW() - INTERVAL 1 HOUR"
    else:
        function, literal, past = "now()", "to_char(now() + interval '2 s', 'YYYY-MM-DD HH24:MI:SS.MS')", \
            "to_char(now() - interval '1 h', 'YYYY-MM-DD HH24:MI:SS')"

    def text(expression):
        cur = conn.cursor()
        cur.execute("SELECT CAST((%s) AS CHAR(40))" % expression if database.kind != "postgresql"
                    else "SELECT (%s)::text" % expression)
        return str(cur.fetchone()[0]).strip()

    now = database.insert(conn=conn, body="now", send_at=Sql(function))
    late = database.insert(conn=conn, body="literal", send_at=text(literal))
    old = database.insert(conn=conn, body="past", send_at=text(past))
    for msg in (now, old):
        database.wait_result(msg, 5, fail=a.dead_text, result_class="OK")
    assert database.result(late) is None, "two seconds ahead, and it went out at once"
    database.wait_result(late, 10, result_class="OK")
    assert database.one("SELECT COUNT(*) AS n FROM {p}result WHERE sent_at < send_at") == 0
    hour = database.one("SELECT COUNT(*) AS n FROM {p}result WHERE created_at > %s OR created_at < %s"
                        % (database.later_sql(60), database.later_sql(-60)))
    assert hour == 0, "created_at is the database's now"


@pytest.mark.db("mariadb")
def test_a_euckr_client_and_emoji(database, sim, agent):
    a = agent()
    database.insert(body="x")
    text = "INSERT INTO mt_send (sender, recipient, body) VALUES ('15880000','01012345679','안녕하세요');"
    run = subprocess.run([dbs.find("mariadb", "mysql"), "--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-P",
                          str(database.server.port), "-u", dbs.OWNER, "--default-character-set=euckr", database.name],
                         input=text.encode("euc_kr"), env=dict(os.environ, MYSQL_PWD=dbs.PASSWORD), capture_output=True)
    assert run.returncode == 0, run.stderr
    database.insert("01012345670", "emoji 😀 and 한글")
    wait_until(lambda: database.count("result") == 3, 20, "three results", fail=a.dead_text)
    assert sorted(t.text for t in sim.truth().values()) == ["emoji 😀 and 한글", "x", "안녕하세요"]


@pytest.mark.db("postgresql")
@pytest.mark.noschema
def test_an_euc_kr_database(servers, database, sim, agent):
    own = servers("postgresql").create("EUC_KR")
    own.apply_schema()
    from lib.agent import Agent
    a = Agent(database.dir + "/euckr-agent", own, sim)
    try:
        a.start()
        msg = own.insert("01012345678", "안녕하세요 EUC-KR")
        row = own.wait_result(msg, fail=a.dead_text, result_class="OK")
        assert sim.truth()[row["client_key"]].text == "안녕하세요 EUC-KR"
        a.stop()
    finally:
        a.close()
        own.drop()


@pytest.mark.db("sqlite", "mysql56")
def test_an_id_that_comes_again(database, sim, agent, oracle):
    """TRUNCATE, a drained table and a restarted old server give a number twice: two results, none overwritten."""
    a = agent()
    first = database.insert(body="first life")
    database.wait_result(first, fail=a.dead_text, result_class="OK")
    wait_until(lambda: database.count("send") == 0, 10, "an empty table")
    if database.kind == "sqlite":
        database.execute("DELETE FROM sqlite_sequence WHERE name = 'mt_send'")
    else:
        a.stop()
        database.forget()
        database.server.stop()
        database.server.start()
        a.start()
    second = database.insert(body="second life")
    assert second == first, "this test needs a number that comes again"
    wait_until(lambda: database.count("result", "msg_id = ?", (first,)) == 2, 20, "a second result", fail=a.dead_text)
    assert {r["result_class"] for r in database.rows("result")} == {"OK"}
    assert sorted(t.text for t in sim.truth().values()) == ["first life", "second life"]


def test_an_id_that_comes_again_after_truncate(database, sim, agent):
    a = agent()
    first = database.insert(body="first life")
    database.wait_result(first, fail=a.dead_text, result_class="OK")
    wait_until(lambda: database.count("send") == 0, 10, "an empty table")
    if database.kind == "sqlite":
        database.execute("DELETE FROM sqlite_sequence WHERE name = 'mt_send'")
    elif database.kind == "postgresql":
        database.execute("TRUNCATE {p}send RESTART IDENTITY")
    else:
        database.execute("TRUNCATE TABLE {p}send")
    again = None
    while again is None or again < first:
        again = database.insert(body="second life")
    wait_until(lambda: database.count("send") == 0, 20, "all sent", fail=a.dead_text)
    assert database.count("result", "msg_id = ?", (first,)) == 2


def test_500_rows_of_a_megabyte_within_the_memory(database, sim, agent):
    a = agent(start=False)
    # TEXT of MySQL holds 65,535 bytes.
    big = "m" * (65000 if database.dialect == "mysql" else 1000000)
    for _ in range(10):
        database.insert_many(50, body=big)
    good = database.insert(body="behind them")
    a.start()
    database.wait_result(good, 120, fail=a.dead_text, result_class="OK")
    wait_until(lambda: database.count("result") == 501, 120, "all results", fail=a.dead_text)
    assert database.count("result", "result_code = '2004'") == 500
    limit = volume.memory_bound_mib(database)
    if limit:
        peak = a.rss_kib(peak=True) / 1024
        assert peak < limit, "%.1f MiB" % peak
