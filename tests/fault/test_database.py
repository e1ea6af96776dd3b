"""The database misbehaves, and the agent waits, says so, and goes on by itself: deadlocks, lock wait time-outs, outages, read-only,
rights taken away, a full disk, a refused DELETE. Nothing is sent that cannot be claimed, and no outcome is forgotten.
"""

import contextlib
import errno
import os
import random
import subprocess
import time

import pytest

from lib import db as dbs
from lib import proof
from lib.proxy import Proxy
from lib.wait import WaitTimeout, wait_until

QUICK = {"times": {"quiet_time": "1s", "unknown_look": "100ms", "care_pass": "100ms", "heartbeat": "200ms", "agent_lease": "2s",
                   "write_deadline": "2s", "row_lease": "12s"}}
# A page of reports whose answer comes too late on a busy machine would be lost until the close.
CHANNEL = {"batch": 20, "log_queries_per_minute": 6000, "answer_timeout": "5s"}
SERVERS = pytest.mark.db("mariadb", "postgresql")


def handed(sim):
    return sim.stats().get("items_in", 0)


def stands_still(sim, seconds=1.0):
    """Nothing may happen, so there is nothing to wait for."""
    before = handed(sim)
    time.sleep(seconds)
    return handed(sim) == before


def wait_done(database, a, deadline_s, where="1 = 1"):
    """No row is left (of those); says what is, otherwise."""
    try:
        wait_until(lambda: database.count("send", where) == 0, deadline_s, "no row with " + where, fail=a.dead_text)
    except WaitTimeout as e:
        raise AssertionError("%s: %s; reports: %s" % (e, database.query(
            "SELECT status, hold_code, pend_class, try_no, provider_id, COUNT(*) AS n, MIN(due_at) AS due FROM {p}send "
            "GROUP BY status, hold_code, pend_class, try_no, provider_id LIMIT 10"), database.count("report")))


def all_ok(database, oracle, total):
    oracle.check()
    got = database.query("SELECT result_class, COUNT(*) AS n FROM {p}result GROUP BY result_class")
    assert got == [{"result_class": "OK", "n": total}], got


# ---- locks ----


@SERVERS
def test_deadlocks_with_the_customer(database, sim, agent, oracle):
    """Two agents, and an application that updates waiting rows in changing order inside of its transactions."""
    seed = proof.seed()
    rng = random.Random(seed)
    sim.config(dedupe="off", report_delay_ms=20)
    agents = [agent(channel=CHANNEL, extra=QUICK) for _ in range(2)]
    conn = database.connect()
    mine = theirs = 0
    until = time.monotonic() + proof.size(4, 300)
    total = 0
    while time.monotonic() < until:
        database.insert_many(60)
        total += 60
        ids = [r["msg_id"] for r in database.query("SELECT msg_id FROM {p}send WHERE status IN (0, 1, 2)")]
        rng.shuffle(ids)
        cur = conn.cursor()
        try:
            cur.execute("BEGIN")
            for msg_id in ids[:12]:
                cur.execute("UPDATE mt_send SET etc1 = 'again' WHERE msg_id = %s", (msg_id,))
            cur.execute("COMMIT")
            mine += 1
        except Exception:                       # noqa: BLE001 - the customer was the victim
            theirs += 1
            with contextlib.suppress(Exception):
                cur.execute("ROLLBACK")
    conn.close()
    database.wait_empty(60, fail=lambda: agents[0].dead_text() or agents[1].dead_text())
    for a in agents:
        a.stop()
    oracle.expect(*(r["msg_id"] for r in database.rows("result")))
    all_ok(database, oracle, total)
    print("%d transactions of the customer, %d of them were the victim" % (mine + theirs, theirs))
    proof.record("database, deadlocks", database.kind, seed, messages=total, transactions=mine, victims=theirs)


@SERVERS
@pytest.mark.parametrize("state", ["ready", "accepted"])
def test_rows_that_a_long_transaction_has_locked_stop_nobody_else(database, sim, agent, oracle, state):
    """The customer has changed some rows and does not commit. These wait; all others go on, and so do the reports."""
    sim.config(dedupe="off", report_delay_ms=20)
    a = agent(start=False, channel=CHANNEL, extra=QUICK)
    if state == "accepted":
        sim.pause_reports()
        a.start()
    database.insert_many(30)
    held = [r["msg_id"] for r in database.rows("send")]
    oracle.expect(*held)
    if state == "accepted":
        wait_until(lambda: database.count("send", "status = 2") == 30, 20, "accepted", fail=a.dead_text)
    held = held[3:9]
    other = database.connect()
    other.cursor().execute("BEGIN")
    for msg_id in held:
        other.cursor().execute("UPDATE mt_send SET etc1 = 'not committed' WHERE msg_id = %s", (msg_id,))
    try:
        if state == "accepted":
            sim.resume_reports()
        else:
            a.start()
        wait_until(lambda: database.count("result") == 24, 60, "the others", fail=a.dead_text)
        began = time.monotonic()
        for _ in range(3):
            fresh = database.insert("010-2000-0001", "comes later")
            oracle.expect(fresh)
            database.wait_result(fresh, 20, fail=a.dead_text, result_class="OK")
        print("%.1f s for three more, one after the other" % (time.monotonic() - began))
        assert database.count("send") == 6
    finally:
        with contextlib.suppress(Exception):
            other.cursor().execute("COMMIT")
        other.close()
    database.wait_empty(60, fail=a.dead_text)
    a.stop()
    all_ok(database, oracle, 33)


# ---- away ----


def rss_after(a, seconds):
    """Largest resident memory in so many seconds."""
    end = time.monotonic() + seconds
    most = 0
    while time.monotonic() < end:
        most = max(most, a.rss_kib())
        time.sleep(0.2)
    return most


@SERVERS
def test_an_outage_with_the_default_times(servers, database, sim, agent, oracle):
    """The server is away for a while (long form: half an hour): memory does not grow, and at most 30 seconds after it is back the
    first message leaves. All times are the shipped ones."""
    sim.config(dedupe="off", report_delay_ms=20, answer_delay_ms=100)
    a = agent(extra={"times": None}, channel={"batch": 20, "report_poll": None, "answer_timeout": None, "connect_timeout": None})
    database.insert_many(300)
    oracle.snapshot()
    wait_until(lambda: database.count("result") > 0, 30, "a first result", fail=a.dead_text)
    server = servers(database.kind)
    database.forget()
    server.kill9()
    wait_until(lambda: not a.ctl_json("status", check=False)["database_ok"], 30, "the agent to notice", fail=a.dead_text)
    first = rss_after(a, 2)
    last = rss_after(a, proof.size(4, 1800))
    assert last <= first + 2048, "memory grew from %d to %d KiB" % (first, last)
    assert stands_still(sim, 0.5)
    had = handed(sim)
    server.start()
    back = time.monotonic()
    if database.count("send", "status = 0") == 0:
        database.insert_many(20)
    wait_until(lambda: handed(sim) > had, 45, "the first message", fail=a.dead_text)
    took = time.monotonic() - back
    oracle.expect(*(r["msg_id"] for r in database.rows("send")))
    database.wait_empty(120, fail=a.dead_text)
    a.stop()
    oracle.check()
    assert {r["result_class"] for r in database.rows("result")} == {"OK"}
    print("%.1f s from the server's return to the first message; %d KiB, then %d KiB" % (took, first, last))
    proof.record("database, outage", database.kind, back_s=took, grown_kib=max(0, last - first))
    assert took <= 30


@SERVERS
def test_a_server_that_accepts_and_says_nothing(database, sim, agent, oracle):
    """Connections stand and nothing comes back any more; then they are cut and all is well again."""
    sim.config(dedupe="off", report_delay_ms=20)
    with Proxy(database.server.port, speaks=database.dialect) as line:
        a = agent(start=False, channel=CHANNEL, extra=QUICK)
        a.write({"database": dict(line.database_config(database), statement_timeout="2s", connect_timeout="2s")})
        a.start()
        database.insert_many(40)
        oracle.snapshot()
        wait_until(lambda: handed(sim) > 0, 20, "a first message", fail=a.dead_text)
        line.fault("stall", packet=0, times=None)
        database.insert_many(40)
        oracle.snapshot()
        wait_until(lambda: not a.ctl_json("status", check=False)["database_ok"], 30, "the agent to notice", fail=a.dead_text)
        had = handed(sim)
        assert stands_still(sim) and handed(sim) == had
        line.clear()
        line.cut()
        back = time.monotonic()
        database.wait_empty(40, fail=a.dead_text)
        a.stop()
        all_ok(database, oracle, 80)
        print("%.1f s until all was done" % (time.monotonic() - back))


# ---- may not write ----


class ReadOnly:
    """The whole database refuses to write, as a replica that was promoted the wrong way round does."""

    def __init__(self, servers, database):
        self.database = database
        self.server = None if database.kind == "sqlite" else servers(database.kind)

    def set(self, on):
        d = self.database
        if d.dialect == "mysql":
            self.server.admin("SET GLOBAL read_only = %d" % on)
        elif d.dialect == "postgresql":
            self.server.admin('ALTER DATABASE "%s" SET default_transaction_read_only = %s' % (d.name, "on" if on else "off"))
            # Sessions that are open keep what they had.
            self.server.admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'" % d.name)
            d.forget()


@SERVERS
def test_a_read_only_database(servers, database, sim, agent, oracle):
    """Nothing is claimed, so nothing is sent; what the provider says meanwhile is kept, and written when it can be."""
    sim.config(dedupe="off", report_delay_ms=20)
    a = agent(channel=CHANNEL, extra=QUICK)
    only = ReadOnly(servers, database)
    sim.pause_reports()
    database.insert_many(30)
    oracle.snapshot()
    wait_until(lambda: database.count("send", "status = 2") == 30, 20, "accepted ones", fail=a.dead_text)
    database.insert_many(40, send_at=soon(database))
    try:
        only.set(1)
        sim.resume_reports()
        wait_until(lambda: sim.stats()["reports_handed_out"] == 30, 20, "the reports to be fetched", fail=a.dead_text)
        a.wait_log(r"(read.only|1290|25006)", 20)
        wait_until(lambda: waiting_is_due(database), 20, "waiting rows to be due")
        assert stands_still(sim, 2) and handed(sim) == 30
        assert database.count("result") == 0 and a.alive()
    finally:
        only.set(0)
    back = time.monotonic()
    database.wait_empty(40, fail=a.dead_text)
    took = time.monotonic() - back
    a.stop()
    oracle.by_id = {r["msg_id"] for r in database.rows("result")}
    all_ok(database, oracle, 70)
    print("%.1f s from the first write to the last result" % took)
    proof.record("database, read-only", database.kind, messages=70, back_s=took)


def soon(database):
    """A send_at of two seconds from now."""
    return database.one("SELECT %s" % database.later_sql(2))


def waiting_is_due(database):
    return database.count("send", "send_at <= %s AND status = 0" % database.now_sql) == 40


REFUSE = {
    "mysql": "CREATE TRIGGER nope BEFORE %s ON mt_send FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not allowed'",
    "sqlite": "CREATE TRIGGER nope BEFORE %s ON mt_send BEGIN SELECT RAISE(ABORT, 'not allowed'); END",
    "postgresql": "CREATE TRIGGER nope BEFORE %s ON mt_send FOR EACH ROW EXECUTE FUNCTION nope()",
}


def refuse(database, what):
    if database.dialect == "postgresql":
        database.execute("CREATE OR REPLACE FUNCTION nope() RETURNS trigger LANGUAGE plpgsql AS "
                         "'BEGIN RAISE EXCEPTION ''not allowed''; END'")
    database.execute(REFUSE[database.dialect] % what)


def relent(database):
    database.execute("DROP TRIGGER nope" + (" ON mt_send" if database.dialect == "postgresql" else ""))


def test_update_is_refused(database, sim, agent, oracle):
    """A trigger: no claim, so no message; the agent says why and goes on by itself."""
    sim.config(dedupe="off", report_delay_ms=20)
    refuse(database, "UPDATE")
    a = agent(start=False, channel=CHANNEL, extra=QUICK)
    database.insert_many(30)
    oracle.snapshot()
    a.start(wait=False)
    wait_until(lambda: not a.alive() or a.log_has("claim.failed .*not allowed"), 20, "a word about it")
    assert stands_still(sim) and handed(sim) == 0
    relent(database)
    if not a.alive():
        a.start()                               # the check at the start has refused it
    database.wait_empty(40, fail=a.dead_text)
    a.stop()
    all_ok(database, oracle, 30)


@pytest.mark.parametrize("how", ["trigger", "grant"])
def test_delete_is_refused(servers, database, sim, agent, oracle, how):
    """Results cannot be settled: each message is sent once all the same, is held with its outcome, and is settled later."""
    sim.config(dedupe="off", report_delay_ms=20)
    a = agent(channel=CHANNEL, extra=QUICK)
    first = database.insert()
    database.wait_result(first, fail=a.dead_text)
    if how == "trigger":
        refuse(database, "DELETE")
    else:
        if database.dialect == "sqlite":
            pytest.skip("SQLite knows no grants")
        revoke(servers(database.kind), database, True)
    n = 25
    database.insert_many(n)
    ids = {r["msg_id"] for r in database.rows("send")}
    wait_until(lambda: handed(sim) == n + 1, 30, "all handed over", fail=a.dead_text)
    if how == "trigger":
        wait_done(database, a, 20, "NOT (status = 4 AND COALESCE(pend_class, '') = 'OK')")
    else:
        a.wait_log("(denied|permission)", 20)
    assert stands_still(sim, 1.5) and handed(sim) == n + 1, "nothing is sent a second time"
    assert database.count("send") == n and a.alive()
    if how == "trigger":
        relent(database)
    else:
        revoke(servers(database.kind), database, False)
    # The agent tries again within the minute.
    database.execute("UPDATE {p}send SET due_at = %s WHERE status = 4 AND pend_class IS NOT NULL" % database.later_sql(-1))
    wait_done(database, a, 100)
    a.stop()
    oracle.expect(first, *ids)
    all_ok(database, oracle, n + 1)
    assert handed(sim) == n + 1


def revoke(server, database, away):
    """DELETE on mt_send for the agent's role."""
    if database.dialect == "mysql":
        server.admin("REVOKE DELETE ON `%s`.* FROM '%s'@'%%'" % (database.name, dbs.OWNER) if away else
                     "GRANT DELETE ON `%s`.* TO '%s'@'%%'" % (database.name, dbs.OWNER))
        # Rights of the whole database are looked at when it is chosen.
        for row in server.admin("SHOW PROCESSLIST"):
            if row[3] == database.name:
                with contextlib.suppress(Exception):
                    server.admin("KILL %d" % row[0])
        database.forget()
    else:
        # An owner's rights: taken away as from anybody.
        server.admin("%s DELETE ON mt_send %s %s" % (("REVOKE", "FROM", dbs.OWNER) if away else ("GRANT", "TO", dbs.OWNER)),
                     database=database.name)


# ---- a full disk ----


def mount(folder, megabytes):
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=755" % megabytes, "tmpfs", folder],
                      stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no right to mount")


def fill(path):
    with open(path, "wb", buffering=0) as f:
        with contextlib.suppress(OSError):
            while f.write(bytes(65536)):
                pass
        try:
            while f.write(bytes(512)):
                pass
        except OSError as e:
            assert e.errno == errno.ENOSPC


@pytest.mark.noschema
def test_the_disk_of_the_database_is_full(database, sim, agent, oracle, folder):
    """On a small file system of its own: claims fail, so nothing is sent; answers and reports wait; with space all goes on."""
    small = os.path.join(folder, "disk")
    os.mkdir(small)
    mount(small, {"sqlite": 6, "mariadb": 220, "postgresql": 120}[database.kind])
    server = None
    try:
        if database.kind == "sqlite":
            base = dbs.SqliteDatabase(os.path.join(small, "mt.db"))
        else:
            server = {"mariadb": dbs.MariaDB, "postgresql": dbs.PostgreSQL}[database.kind](
                args=["--innodb-log-file-size=8M"], settings={"max_wal_size": "32MB", "min_wal_size": "32MB"})
            made, dbs.paths.temp_dir = dbs.paths.temp_dir, lambda tag: small
            try:
                base = server.create()
            finally:
                dbs.paths.temp_dir = made
        base.apply_schema()
        full_disk(base, server, sim, agent, oracle, os.path.join(small, "filler"))
    finally:
        if server is not None:
            with contextlib.suppress(Exception):
                server.proc.kill9()
            server.proc = server.dir = None
        subprocess.run(["umount", "-l", small], check=True)


def full_disk(base, server, sim, agent, oracle, filler):
    sim.config(dedupe="off", report_delay_ms=20)
    oracle.database = base
    a = agent(start=False, channel=CHANNEL, extra=QUICK)
    a.write({"database": base.agent_config()})
    a.database = base
    a.start()
    first = base.insert()
    base.wait_result(first, fail=a.dead_text)
    a.ctl("pause", "infobip")
    base.insert_many(40)
    oracle.expect(first, *(r["msg_id"] for r in base.rows("send")))
    fill(filler)
    grow(base)
    a.ctl("resume", "infobip")
    # InnoDB may still have room in what it has; then everything is done although the disk is full.
    failed = r"(claim|settle|heartbeat|care|report)\.failed .*"
    wait_until(lambda: a.log_has(failed) or done(base), 25, "a word about it", fail=a.dead_text)
    said = a.log_has(failed)
    print("%s; %d of 40 were sent before" % (said.group(0)[:160] if said else "nothing was refused", handed(sim) - 1))
    assert handed(sim) - 1 <= base.count("send", "try_no > 0") + base.count("result"), "sent what could not be claimed"
    os.unlink(filler)
    if server is not None and not server.running():
        base.forget()
        server.start()
    back = time.monotonic()

    def all_done():
        with contextlib.suppress(Exception):
            return done(base)
    wait_until(all_done, 90, "an empty mt_send", fail=a.dead_text)
    took = time.monotonic() - back
    a.stop()
    a.close()
    oracle.check(all_done=False)
    assert base.count("result", "result_class = 'OK'") == 41
    print("%.1f s from the space to the last result" % took)
    proof.record("database, disk full", base.kind, messages=41, back_s=took)


def grow(base):
    """Makes the database need more space than there is: reserved rows with long texts, until it refuses."""
    body = "filler"
    refused = 0
    end = time.monotonic() + 20
    while refused < 3 and time.monotonic() < end:
        try:
            base.insert_many(200, body=body, payload='{"a":"%s"}' % ("x" * 4000), send_at=base.one("SELECT %s" % base.later_sql(36000)))
        except Exception:                       # noqa: BLE001 - that is what was wanted
            refused += 1
            base.forget()
    assert refused == 3, "the disk is not full"


def done(base):
    return base.count("send", "body <> 'filler'") == 0
