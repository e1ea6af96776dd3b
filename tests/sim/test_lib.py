"""Tests of the test library: above all that the oracle finds what it is there to find."""

import os
import stat
import sys
import textwrap

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]

from lib import conf, db, paths                     # noqa: E402
from lib.agent import Agent                         # noqa: E402
from lib.oracle import Oracle                       # noqa: E402
from lib.wait import WaitTimeout, wait_until        # noqa: E402

TABLES = """
CREATE TABLE mt_send (msg_id INTEGER PRIMARY KEY AUTOINCREMENT, created_at TEXT DEFAULT 'c', status INTEGER DEFAULT 0,
  client_key TEXT, sender TEXT, recipient TEXT, body TEXT);
CREATE TABLE mt_result (msg_id INTEGER, created_at TEXT, result_class TEXT, result_code TEXT, client_key TEXT);
CREATE TABLE mt_try (msg_id INTEGER, client_key TEXT);
"""


@pytest.fixture
def base():
    try:
        server = db.SQLite()
        one = server.create()
    except db.Unavailable as e:
        pytest.skip(str(e))
    one.sql(TABLES)
    yield one
    one.drop()
    server.close()


@pytest.fixture
def truth(tmp_path):
    path = tmp_path / "truth.jsonl"

    def write(*lines):
        with open(path, "a") as f:
            for mid, accepted, phone, lied in lines:
                f.write('{"k":"msg","t":1,"id":"%s","to":"82","sender":"","text":"","accepted":%d,"phone":%d,'
                        '"outcome":"X","lied":%d,"bulk":"b"}\n' % (mid, accepted, phone, lied))
    write()
    write.path = str(path)
    return write


def settled(base, msg_id, klass, key, created="c"):
    base.execute("INSERT INTO mt_result VALUES (?, ?, ?, '0000', ?)", (msg_id, created, klass, key))
    base.execute("DELETE FROM mt_send WHERE msg_id = ?", (msg_id,))


def test_oracle_is_content_with_a_good_run(base, truth):
    oracle = Oracle(base, truth_file=truth.path)
    ids = [base.insert() for _ in range(3)]
    assert oracle.snapshot() == 3
    for msg_id, klass in zip(ids, ("OK", "FAIL", "UNKNOWN")):
        settled(base, msg_id, klass, "k%d" % msg_id)
    truth(("k1", 1, 1, 0), ("k2", 0, 0, 0), ("k3", 1, 1, 0))
    assert oracle.violations() == []
    assert oracle.check() == {"OK": 1, "FAIL": 1, "UNKNOWN": 1}


@pytest.mark.parametrize("klass,phone,word", [("OK", 0, "class OK"), ("FAIL", 1, "class FAIL"), ("OK", 2, "2 times"),
                                              ("UNKNOWN", 2, "2 times")])
def test_oracle_finds_wrong_classes_and_double_texts(base, truth, klass, phone, word):
    oracle = Oracle(base, truth_file=truth.path)
    msg_id = base.insert()
    oracle.snapshot()
    settled(base, msg_id, klass, "k")
    truth(*[("k", 1, 1, 0)] * phone)
    assert word in oracle.violations()[0]
    with pytest.raises(AssertionError):
        oracle.check()
    if phone == 2:
        assert oracle.violations(allow_twice=True) == oracle.violations(allow_twice={msg_id}) == []


def test_oracle_finds_lost_doubled_waiting_and_strange_rows(base, truth):
    oracle = Oracle(base, truth_file=truth.path)
    lost, twice, both, waits = [base.insert() for _ in range(4)]
    oracle.snapshot()
    base.execute("DELETE FROM mt_send WHERE msg_id = ?", (lost,))
    settled(base, twice, "UNKNOWN", "k2")
    settled(base, twice, "UNKNOWN", "k2")
    base.execute("INSERT INTO mt_result VALUES (?, 'c', 'UNKNOWN', '8001', NULL)", (both,))
    base.execute("INSERT INTO mt_result VALUES (99, 'c', 'UNKNOWN', '8001', NULL)")
    truth(("nobody", 1, 1, 0))
    text = "\n".join(oracle.violations())
    for part in ("message %d (c) is lost" % lost, "message %d has 2 results" % twice,
                 "message %d has a result and still waits" % both, "message %d still waits" % waits,
                 "result for message 99", "took nobody"):
        assert part in text, part
    assert len(oracle.violations(limit=2)) == 3


def test_oracle_counts_attempts_of_one_message_together(base, truth):
    oracle = Oracle(base, truth_file=truth.path)
    msg_id = base.insert()
    oracle.snapshot()
    base.execute("INSERT INTO mt_try VALUES (?, 'first')", (msg_id,))
    settled(base, msg_id, "OK", "second")
    truth(("first", 1, 1, 0), ("second", 1, 1, 0))
    assert "2 times" in oracle.violations()[0]


def test_oracle_leaves_out_lies_and_knows_ids_that_come_again(base, truth):
    oracle = Oracle(base, truth_file=truth.path)
    liar = base.insert()
    oracle.snapshot()
    settled(base, liar, "FAIL", "k1")
    truth(("k1", 1, 1, 1))
    assert oracle.violations() == [] and oracle.lied == [liar]
    base.execute("INSERT INTO mt_send (msg_id, created_at) VALUES (7, 'd1')")
    oracle.snapshot()
    settled(base, 7, "OK", "k7a", "d1")
    base.execute("INSERT INTO mt_send (msg_id, created_at) VALUES (7, 'd2')")
    oracle.snapshot()
    settled(base, 7, "OK", "k7b", "d2")
    truth(("k7a", 1, 1, 0), ("k7b", 1, 1, 0))
    assert oracle.violations() == []
    truth(("k7b", 1, 1, 0))
    assert "3 times" in oracle.violations()[0]


def test_msg_id_inside_a_client_key():
    value = (1 << 146) | (0xDEADBEEF << 114) | (123456789 << 50) | 77
    key = "".join(Oracle.ALPHABET[value >> (145 - 5 * n) & 31] for n in range(30))
    assert Oracle.id_of(key) == 123456789
    assert Oracle.id_of("short") is None and Oracle.id_of("u" * 30) is None


def test_configuration_text():
    text = conf.render({"agent": {"id": 'a"\\b', "n": 5, "big": 1 << 40, "yes": True, "none": None},
                        "channels": [{"name": "x"}, {"name": "y"}], "list": {"v": ["a", "b"]}, "raw": conf.Raw("@@")})
    assert text == textwrap.dedent('''\
        agent = {
        \tid = "a\\"\\\\b";
        \tn = 5;
        \tbig = 1099511627776L;
        \tyes = true;
        };
        channels = ( {
        \tname = "x";
        },
          {
        \tname = "y";
        } );
        list = {
        \tv = [ "a", "b" ];
        };
        raw = @@;
        ''')
    assert conf.merge({"a": {"b": 1, "c": 2}, "l": [1]}, {"a": {"c": 3}, "l": [2]}) == {"a": {"b": 1, "c": 3}, "l": [2]}


def test_waiting():
    box = []
    assert wait_until(lambda: box.append(1) or len(box) > 2, 5)
    with pytest.raises(WaitTimeout, match="pigs"):
        wait_until(lambda: False, 0.05, "pigs")
    with pytest.raises(WaitTimeout, match="died"):
        wait_until(lambda: False, 60, "x", fail=lambda: "died")


FAKE = """#!/usr/bin/python3
import os, signal, socket, sys, time
print("starting", sys.argv, os.environ.get("MTRELAY_FAILPOINT"), flush=True)
mode = open(sys.argv[2]).read()
if "broken" in mode:
    sys.exit(78)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
s.send(b"READY=1\\nSTATUS=fine\\n")
if "stubborn" in mode:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    time.sleep(0.05)
"""


@pytest.fixture
def fake(base, tmp_path, monkeypatch):
    """An Agent whose mtrelayd is a script."""
    path = tmp_path / "mtrelayd"
    path.write_text(FAKE)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(paths, "BUILDDIR", str(tmp_path))
    folder = paths.temp_dir("lib")
    agent = Agent(folder, base)
    yield agent
    agent.close()
    paths.remove_dir(folder)


def test_agent_starts_reports_and_stops(fake):
    fake.start(failpoint="x:kill:1")
    assert fake.alive() and fake.notify.has("STATUS", "fine") and fake.rss_kib() > 1000
    assert fake.wait_log("x:kill:1")
    assert fake.stop() == 0 and not fake.alive()
    fake.start()
    assert fake.kill9() == -9 and fake.wait_exit() == -9


def test_agent_that_dies_or_does_not_obey_is_noticed(fake):
    fake.write({"agent": {"id": "broken"}})
    with pytest.raises(WaitTimeout, match="ended with 78"):
        fake.start()
    fake.write({"agent": {"id": "stubborn"}})
    fake.start()
    with pytest.raises(AssertionError, match="did not end"):
        fake.stop(deadline_s=0.3)
    assert not fake.alive()


@pytest.mark.parametrize("kind", sorted(db.KINDS))
def test_databases(kind):
    server = db.KINDS[kind]()
    try:
        base = server.create()
        key = {"sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT", "postgresql": "BIGSERIAL PRIMARY KEY"}.get(
            base.dialect, "BIGINT AUTO_INCREMENT PRIMARY KEY")
        base.execute("CREATE TABLE {p}send (msg_id %s, sender VARCHAR(32), recipient VARCHAR(254), body TEXT, "
                     "send_at VARCHAR(60))" % key)
        first = base.insert(body="안녕 100%", send_at=db.Sql(base.later_sql(60)))
        assert base.rows("send", "msg_id = ?", (first,))[0]["body"] == "안녕 100%"
        base.insert_many(1000)
        assert base.count("send") == 1001
        assert base.sql("SELECT COUNT(*) FROM mt_send;", tz="Asia/Seoul").strip() == "1001"
        assert base.agent_config()["driver"] in ("mysql", "odbc")
        if kind in ("mariadb", "postgresql"):
            for end in (server.stop, server.kill9):
                end()
                server.start()
                base.forget()
                assert base.count("send") == 1001
        if kind == "postgresql":
            assert server.create("EUC_KR").one("SHOW server_encoding") == "EUC_KR"
        base.drop()
    except db.Unavailable as e:
        pytest.skip(str(e))
    finally:
        folder = server.dir
        server.close()
    assert folder is None or os.environ.get("MTRELAY_KEEP") or not os.path.exists(folder)
