"""Killed anywhere, started again: nothing is lost, nobody is texted twice, no class is wrong.

The provider of these tests does not recognise a key that it had before (dedupe off), so that a second sending reaches the
phone and the oracle sees it.  Kills at every fault point and at random moments: fault/test_sweep.py and test_kills.py.
"""

import contextlib
import errno
import os
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import time

import pytest

from lib.wait import WaitTimeout, wait_until

# A kill leaves questions that the agent asks at its pace; the tests make it a quick one.
QUICK = {"times": {"quiet_time": "1200ms", "unknown_look": "100ms", "care_pass": "100ms", "write_deadline": "1s",
                   "row_lease": "2500ms", "agent_lease": "1200ms", "drain": "5s"},
         "limits": {"batch": 40, "journal_segment": "256KiB"}}
CHANNEL = {"batch": 20, "log_queries_per_minute": 6000}

# Loses a page that the provider hands out once: a test of its own.
LOSES_REPORTS = "report_before_mark"


def make_agent(agent, sim, extra=None, **kw):
    sim.config(dedupe="off", report_delay_ms=20)
    a = agent(start=False, channel=dict(CHANNEL, **kw.pop("channel", {})), extra=QUICK, **kw)
    if extra:
        a.write(extra)
    return a


def insert(database, oracle, count, **kw):
    database.insert_many(count, **kw)
    oracle.snapshot()


def wait_rows(a, database, deadline_s, where=""):
    """Until no row is left (of those)."""
    try:
        wait_until(lambda: database.count("send", where) == 0, deadline_s, "no row left", fail=a.dead_text)
    except WaitTimeout as e:
        left = database.query("SELECT status, channel, hold_code, pend_class, try_no, COUNT(*) AS n, MIN(msg_id) AS first, "
                              "MIN(due_at) AS due FROM {p}send GROUP BY status, channel, hold_code, pend_class, try_no")
        raise AssertionError("%s\nleft: %s\nstatus: %s" % (e, left, a.ctl("status", "--json", check=False).stdout))


def run_out(a, database, oracle, deadline_s=60):
    """Until everything is done; then asks the oracle."""
    wait_rows(a, database, deadline_s)
    a.stop()
    oracle.check()
    results = database.count("result")
    assert results == len(oracle.inserted), "%d results for %d messages" % (results, len(oracle.inserted))
    unknown = database.rows("result", "result_class = 'UNKNOWN'")
    assert not unknown, "the provider could be asked about each of them: %s" % unknown[:3]


def test_a_lost_page_of_reports_is_asked_for(failpoints, database, sim, agent, oracle):
    a = make_agent(agent, sim)
    insert(database, oracle, 60)
    a.start(wait=False, failpoint=LOSES_REPORTS + ":kill:1")
    assert a.wait_exit(60) == -signal.SIGKILL
    lost = sim.stats()["reports_handed_out"]
    assert lost > 0
    a.start()
    wait_until(lambda: database.count("result") == 60 - lost, 20, "the others to be done", fail=a.dead_text)
    asked = sim.stats()["requests_logs"]
    # An hour before their close these are asked for.
    database.execute("UPDATE {p}send SET due_at = %s WHERE status = 2" % database.later_sql(600))
    run_out(a, database, oracle)
    assert sim.stats()["requests_logs"] > asked and database.count("result") == 60


def test_stopped_at_random(database, sim, agent, oracle):
    """SIGTERM under load: what was claimed has its answer or is back in the table."""
    rng = random.Random(7)
    a = make_agent(agent, sim)
    sim.config(answer_delay_ms=30)
    for _ in range(4):
        insert(database, oracle, 150)
        a.start()
        time.sleep(rng.uniform(0, 0.3))
        a.stop()
        assert database.count("send", "status = 1") == 0
    a.start()
    run_out(a, database, oracle)


# ---- what a start finds ----

def segment(a):
    """The newest segment of the journal and where its records end."""
    path = os.path.join(a.state_dir, max(n for n in os.listdir(a.state_dir) if n.startswith("journal.")))
    with open(path, "rb") as f:
        data = bytearray(f.read())
    end = 96
    while data[end:end + 8] != bytes(8):
        end += 8 + struct.unpack_from("<H", data, end + 4)[0]
    return path, data, end


def put(path, data):
    with open(path, "r+b") as f:
        f.write(data)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def lose_journal(a):
    shutil.rmtree(a.state_dir)
    os.mkdir(a.state_dir, 0o700)


def another_boot(a):
    path, data, _ = segment(a)
    data[24:60] = b"00000000-0000-4000-8000-000000000000"
    struct.pack_into("<I", data, 92, crc32c(data[:92]))
    put(path, data)


def cut_short(a):
    path, data, end = segment(a)
    put(path, data[:end] + data[96:96 + 5])


def damage(a):
    path, data, _ = segment(a)
    data[96 + 12] ^= 1
    put(path, data)


def spoil_head(a):
    path, data, _ = segment(a)
    data[3] ^= 1
    put(path, data)


STARTS = {
    # what is done to the journal, what the log calls it, is an absent mark still a proof?
    "whole": (lambda a: None, "whole", True),
    "cut_short": (cut_short, "whole", True),
    "lost": (lose_journal, "new", False),
    "another_boot": (another_boot, "older-boot", False),
    "damaged": (damage, "broken", False),
    "spoilt_head": (spoil_head, "broken", False),
}


@pytest.mark.db("sqlite")
@pytest.mark.parametrize("point", ["claim_after_commit", "answer_before_mark"])
@pytest.mark.parametrize("how", sorted(STARTS))
def test_a_journal_that_is(failpoints, database, sim, agent, oracle, how, point):
    """Rows that were claimed and never marked go back at once only where the journal proves it; the others are asked for."""
    spoil, word, is_proof = STARTS[how]
    a = make_agent(agent, sim)
    insert(database, oracle, 60)
    a.start(wait=False, failpoint="%s:kill:1" % point)
    assert a.wait_exit() == -signal.SIGKILL
    claimed = database.count("send", "status = 1")
    assert claimed > 0
    spoil(a)
    a.start()
    line = a.wait_log(r"relay\.recovered incarnation=2 .*unknown=(\d+) released=(\d+) .*journal=(\S+)")
    unknown, released = int(line.group(1)), int(line.group(2))
    assert line.group(3) == word
    assert unknown + released == claimed
    assert (unknown == 0) == (is_proof and point == "claim_after_commit"), line.group(0)
    assert is_proof or released == 0
    run_out(a, database, oracle)


@pytest.mark.db("sqlite")
def test_the_oracle_would_see_a_second_sending(database, sim, agent, oracle):
    """These tests can fail: a journal whose marks were wiped out with care makes the agent send twice."""
    a = make_agent(agent, sim)
    insert(database, oracle, 60)
    sim.pause_reports()
    sim.rule(hang=True)
    a.start()
    wait_until(lambda: sim.stats()["accepted"], 20, "the provider to have some", fail=a.dead_text)
    a.kill9()
    sim.clear_rules()
    sim.close_connections()
    path, data, end = segment(a)
    first = 96 + 8 + struct.unpack_from("<H", data, 96 + 4)[0]
    put(path, data[:first] + bytes(end - first))
    a.start()
    a.wait_log("relay.recovered incarnation=2 .*unknown=0 .*journal=whole")
    wait_until(lambda: sim.stats()["accepted"] > 60, 20, "some to be sent again", fail=a.dead_text)
    sim.resume_reports()        # not earlier: a report settles a row that waits, too
    database.wait_empty(30, fail=a.dead_text)
    assert any("got message" in text for text in oracle.violations()), oracle.violations()


@pytest.mark.db("sqlite")
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "one_of_two"])
def test_a_database_that_went_back(database, sim, agent, oracle, alone):
    """Put back as it was before the claims: what the journal knows better is asked for.  What is new waits until every
    listed agent has told, or for a human."""
    a = make_agent(agent, sim)
    if not alone:
        b = make_agent(agent, sim)
        b.start()
        b.stop()
    insert(database, oracle, 60)
    old = database.path + ".old"
    with contextlib.closing(sqlite3.connect(old)) as copy:
        database.conn.backup(copy)
    a.start()
    database.wait_empty(20, fail=a.dead_text)
    a.kill9()
    database.forget()
    for name in ("-wal", "-shm"):
        if os.path.exists(database.path + name):
            os.unlink(database.path + name)
    os.replace(old, database.path)
    insert(database, oracle, 5)
    a.start()
    a.wait_log("relay.frozen")
    if not alone:
        wait_until(lambda: database.count("result") == 60, 20, "the results that were lost", fail=a.dead_text)
        assert database.count("send", "status = 0") == 5
        a.ctl("unfreeze", "--by", "test", "--reason", "the other one has nothing to tell")
    run_out(a, database, oracle)
    assert sim.stats()["accepted"] == 65


@pytest.mark.db("sqlite")
def test_a_full_disk_under_the_journal(database, sim, agent, oracle, folder):
    """No mark, no byte: sending pauses, and goes on by itself."""
    small = os.path.join(folder, "small")
    os.makedirs(small)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", small],
                      stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no right to mount")
    try:
        a = make_agent(agent, sim, {"agent": {"state_dir": small},
                                    "limits": {"journal_segment": "64KiB", "journal_keep": 0}})
        insert(database, oracle, 40)
        a.start()
        database.wait_empty(20, fail=a.dead_text)
        fd = os.open(os.path.join(small, "other"), os.O_CREAT | os.O_WRONLY)
        try:
            while os.write(fd, bytes(4096)):
                pass
        except OSError as e:
            assert e.errno == errno.ENOSPC
        os.close(fd)
        database.insert_many(400)
        oracle.snapshot()
        a.wait_log(r"journal\.failed channel=.*free some space")

        def stands_still():
            before = sim.stats()["accepted"]
            time.sleep(0.3)         # nothing may happen, so there is nothing to wait for
            return sim.stats()["accepted"] == before

        wait_until(stands_still, 10, "the last marks that fitted")
        assert sim.stats()["accepted"] < 440
        os.unlink(os.path.join(small, "other"))
        database.wait_empty(30, fail=a.dead_text)
        oracle.by_id = {r["msg_id"] for r in database.rows("result")}
        a.stop()
        assert database.count("result") == 440
        oracle.check()
    finally:
        a.close()
        subprocess.run(["umount", "-l", small], check=True)


# ---- several, slow and absent ones ----

def stand_still(a, database):
    """Not in the middle of a write to SQLite: its one lock would keep everybody waiting."""
    for _ in range(100):
        a.signal(signal.SIGSTOP)
        if database.kind != "sqlite":
            return
        with contextlib.closing(sqlite3.connect(database.path, timeout=0.1, isolation_level=None)) as c:
            try:
                c.execute("BEGIN IMMEDIATE")
                return c.execute("ROLLBACK")
            except sqlite3.OperationalError:
                a.signal(signal.SIGCONT)
                time.sleep(0.01)
    raise AssertionError("the agent writes all the time")


def test_a_process_that_stood_still(failpoints, database, sim, agent, oracle):
    """With rows that it has claimed and not sent, longer than its leases; another one sends them, and it wakes up again."""
    a = make_agent(agent, sim)
    b = make_agent(agent, sim)
    insert(database, oracle, 100)
    a.start(failpoint="claim_after_commit:stall=2000:2")
    # Everything of the first claim is done, so that it stands still with no page of reports and no lock in its hands.
    wait_until(lambda: database.count("result") >= 40 and database.count("send", "status = 1"), 20, "a claim that hangs",
               fail=a.dead_text)
    stand_still(a, database)
    claimed = database.count("send", "owner = 'test-1' AND status = 1")
    b.start()
    wait_rows(b, database, 30)
    assert claimed > 0
    assert database.count("result", "owner = 'test-2' AND try_no > 1") == claimed
    a.signal(signal.SIGCONT)
    a.wait_log("wire.late")
    insert(database, oracle, 40)
    database.wait_empty(30, fail=a.dead_text)
    b.stop()
    run_out(a, database, oracle)


def test_a_claim_that_outlived_its_lease(failpoints, database, sim, agent, oracle):
    """The same within one process: the lane comes back with rows that care has counted as touched since."""
    a = make_agent(agent, sim)
    insert(database, oracle, 100)
    a.start(failpoint="claim_after_commit:stall=3000:2")
    run_out(a, database, oracle)
    assert a.log_has("wire.late")


def test_two_agents_share_a_table(database, sim, agent, oracle):
    both = [make_agent(agent, sim), make_agent(agent, sim)]
    sim.config(answer_delay_ms=20)
    insert(database, oracle, 600)
    for a in both:
        a.start(wait=False)
    for a in both:
        a.wait_ready()
    database.wait_empty(60, fail=lambda: both[0].dead_text() or both[1].dead_text())
    owners = {r["owner"]: r["n"] for r in database.query("SELECT owner, COUNT(*) AS n FROM {p}result GROUP BY owner")}
    assert set(owners) == {"test-1", "test-2"}, owners
    both[0].stop()
    run_out(both[1], database, oracle)


def test_another_agent_takes_over_from_a_dead_one(failpoints, database, sim, agent, oracle):
    a = make_agent(agent, sim)
    b = make_agent(agent, sim)
    insert(database, oracle, 100)
    a.start(wait=False, failpoint="wire_after_mark:kill:2")
    assert a.wait_exit() == -signal.SIGKILL
    assert database.count("send", "owner = 'test-1' AND status = 1") > 0
    b.start()
    run_out(b, database, oracle)
    assert database.count("result", "owner = 'test-2' AND try_no > 1") > 0


def test_the_database_goes_away_for_a_while(servers, database, sim, agent, oracle):
    if database.kind == "sqlite":
        pytest.skip("SQLite has no server that could go away")
    a = make_agent(agent, sim)
    insert(database, oracle, 400)
    sim.config(answer_delay_ms=50)
    a.start()
    wait_until(lambda: database.count("result") > 0, 20, "a first result", fail=a.dead_text)
    database.forget()
    server = servers(database.kind)
    server.kill9()
    a.wait_log("class=(LOST|UNSURE)")
    server.start()
    run_out(a, database, oracle, 90)


def test_a_claim_follows_another_without_a_heartbeat(database, agent):
    """The agent counts its own claims."""
    a = agent(start=False, extra={"times": {"heartbeat": "20s", "agent_lease": "60s"}, "limits": {"batch": 20}})
    database.insert_many(300)
    a.start()
    database.wait_empty(10, fail=a.dead_text)
    assert not a.log_has("claim.mismatch")
