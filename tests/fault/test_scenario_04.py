"""Scenario 4: the database server is killed and started again, under load, many times; and it may be set up so that a crash loses
acknowledged commits: then the agent refuses to send and says why.

The provider does not recognise a key that it had before, so that a second sending reaches the phone.
"""

import contextlib
import os
import random
import signal
import threading
import time

import pytest

from lib import proof
from lib.wait import WaitTimeout, wait_until

pytestmark = pytest.mark.db("mariadb", "postgresql")
QUICK = {"times": {"quiet_time": "1s", "unknown_look": "100ms", "care_pass": "100ms", "heartbeat": "500ms", "write_deadline": "1s",
                   "row_lease": "4s", "agent_lease": "3s", "drain": "5s"}, "limits": {"batch": 40}}
CHANNEL = {"batch": 20, "log_queries_per_minute": 6000}


def children(pid):
    out = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open("/proc/%s/stat" % name) as f:
                if int(f.read().rpartition(")")[2].split()[1]) == pid:
                    out.append(int(name))
    return out


def kill_hard(server):
    """SIGKILL for the server and all of its processes at one moment."""
    pid = server.proc.pid
    os.kill(pid, signal.SIGSTOP)
    for one in children(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    server.proc.kill9()
    server.proc = None


class Application(threading.Thread):
    """Inserts as an application does: what was acknowledged counts, what was not may be there all the same."""

    def __init__(self, database):
        super().__init__(daemon=True)
        self.database = database
        self.acknowledged, self.refused = set(), 0
        self.go_on = True
        self.pause_s = 0.005

    def run(self):
        conn = None
        n = 0
        while self.go_on:
            try:
                if conn is None:
                    conn = self.database.connect()
                n += 1
                self.acknowledged.add(self.database.insert("010%08d" % (20000000 + n), "under load", conn=conn))
            except Exception:                   # noqa: BLE001 - the server is away
                self.refused += 1
                with contextlib.suppress(Exception):
                    conn.close()
                conn = None
                time.sleep(0.05)
            time.sleep(self.pause_s)
        if conn is not None:
            conn.close()

    def end(self):
        self.go_on = False
        self.join(30)


def test_the_server_is_killed_under_load(servers, database, sim, agent, oracle):
    seed = proof.seed()
    rng = random.Random(seed)
    sim.config(dedupe="off", report_delay_ms=20)
    server = servers(database.kind)
    both = [agent(channel=CHANNEL, extra=QUICK) for _ in range(2)]
    app = Application(database)
    app.start()
    slowest = 0.0
    rounds = proof.size(2, 50)
    try:
        for k in range(rounds):
            time.sleep(rng.uniform(0.05, 1.0))          # the moment is what is random
            kill_hard(server)
            database.forget()
            time.sleep(rng.uniform(0, 0.5))
            server.start()
            back = time.monotonic()
            had = sim.stats().get("items_in", 0)
            wait_until(lambda: sim.stats().get("items_in", 0) > had, 30, "a message after kill %d" % (k + 1),
                       fail=lambda: both[0].dead_text() or both[1].dead_text())
            slowest = max(slowest, time.monotonic() - back)
    finally:
        app.end()
    try:
        wait_until(lambda: database.count("send", "status <> 2") == 0, proof.size(60, 240), "everything handed over")
        # A page of reports that was lost with a process is asked for an hour before the close.
        database.execute("UPDATE {p}send SET due_at = %s WHERE status = 2" % database.later_sql(600))
        database.wait_empty(30)
    except WaitTimeout as e:
        raise AssertionError("%s: %s" % (e, database.query(
            "SELECT status, hold_code, owner, COUNT(*) AS n FROM {p}send GROUP BY status, hold_code, owner")))
    for a in both:
        a.stop()
    oracle.expect(*app.acknowledged)
    oracle.check()
    results = database.query("SELECT result_class, COUNT(*) AS n FROM {p}result GROUP BY result_class")
    assert [r["result_class"] for r in results] == ["OK"], results
    total = results[0]["n"]
    assert len(app.acknowledged) <= total <= len(app.acknowledged) + app.refused
    print("%d kills, %d messages, %d INSERTs refused; server ready to first message: %.1f s at most"
          % (rounds, total, app.refused, slowest))
    proof.record("scenario 4", database.kind, seed, kills=rounds, messages=total, back_s=slowest)


# ---- a server that may lose acknowledged commits ----


class Weak:
    """Durability off, for this database alone where that can be."""

    def __init__(self, server, database):
        self.server, self.database = server, database
        if database.dialect == "mysql":
            self.name = "innodb_flush_log_at_trx_commit"
            self.was = server.admin("SELECT @@GLOBAL." + self.name)[0][0]
        else:
            self.name = "synchronous_commit"

    def set(self, weak):
        if self.database.dialect == "mysql":
            self.server.admin("SET GLOBAL %s = %s" % (self.name, 0 if weak else self.was))
        else:
            self.server.admin("ALTER DATABASE \"%s\" %s synchronous_commit %s"
                              % (self.database.name, "SET" if weak else "RESET", "TO off" if weak else ""))

    def disconnect(self):
        """The agent has to log in again."""
        self.database.forget()
        if self.database.dialect == "mysql":
            for row in self.server.admin("SHOW PROCESSLIST"):
                if row[3] == self.database.name:
                    with contextlib.suppress(Exception):
                        self.server.admin("KILL %d" % row[0])
        else:
            self.server.admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'" % self.database.name)


@pytest.fixture
def weak(servers, database):
    w = Weak(servers(database.kind), database)
    w.set(True)
    yield w
    w.set(False)


def test_weak_durability_refuses_the_start(database, agent, sim, weak):
    a = agent(start=False)
    database.insert()
    a.start(wait=False)
    assert a.wait_exit() == 78, "an operator must mend it: the supervisor does not try again"
    line = a.wait_log(r"relay\.stop .*class=CONFIG .*").group(0)
    assert weak.name in line and "loses" in line and "set it to" in line, line
    told = a.ctl("check", check=False)
    assert told.returncode != 0 and weak.name in told.stdout + told.stderr, told.stdout + told.stderr
    assert sim.stats().get("items_in", 0) == 0
    weak.set(False)
    a.start()
    database.wait_empty(fail=a.dead_text)


def test_weak_durability_that_was_accepted_is_an_alarm(database, agent, weak):
    a = agent(start=False)
    a.write({"database": dict(a.config["database"], accept_weak_durability=True)})
    a.start()
    database.wait_result(database.insert(), fail=a.dead_text, result_class="OK")
    assert weak.name in a.wait_log(r"WARN mtrelayd db\.durability .*").group(0)


def test_durability_that_is_switched_off_while_it_runs(servers, database, sim, agent, oracle):
    """Seen at the next connection; nothing is sent until it is mended, and then all goes on by itself."""
    weak = Weak(servers(database.kind), database)
    a = agent(extra={"times": {"heartbeat": "200ms"}})
    first = database.insert()
    database.wait_result(first, fail=a.dead_text)
    oracle.expect(first)
    try:
        weak.set(True)
        weak.disconnect()
        a.wait_log(r"class=CONFIG .*%s" % weak.name)
        had = sim.stats()["items_in"]
        database.insert_many(50)
        oracle.snapshot()
        time.sleep(2)               # ten heartbeats; nothing may happen, so there is nothing to wait for
        assert sim.stats()["items_in"] == had and a.alive()
        status = a.ctl_json("status", check=False)
        assert not status["database_ok"] and weak.name in status["last_error"], status
    finally:
        weak.set(False)
    back = time.monotonic()
    database.wait_empty(40, fail=a.dead_text)
    print("%.1f s from mending it to the end of 50 messages" % (time.monotonic() - back))
    a.stop()
    oracle.check()
