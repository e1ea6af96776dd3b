"""Scenario 10: the customer goes on working while the agent does.

Application sessions insert 200 rows a second; one holds a long transaction open (a snapshot, and one with rows of its own inserted
and updated); another makes a full backup. No session of the customer may wait for a lock that is the agent's, or get an error.
The latency of the INSERT without and with the agent is reported, not judged: that depends on the machine.
"""

import contextlib
import os
import sqlite3
import subprocess
import threading
import time

import pytest

from lib import proof
from lib.db import OWNER, PASSWORD, find
from lib.wait import wait_until

RATE = 200
# A page of reports whose answer comes too late on a busy machine would be lost until the close.
CHANNEL = {"batch": 50, "report_poll": "50ms", "answer_timeout": "5s"}


class Session(threading.Thread):
    """One session of the customer: INSERTs at a fixed rate, each in its own transaction, with its time."""

    def __init__(self, database, rate, seconds):
        super().__init__(daemon=True)
        self.database, self.rate, self.seconds = database, rate, seconds
        self.times_ms, self.errors, self.ids = [], [], []
        self.conn = database.connect()
        # An application that cannot wait: what would have to wait is an error.
        if database.dialect == "mysql":
            self.conn.cursor().execute("SET SESSION innodb_lock_wait_timeout = 1")
        elif database.dialect == "postgresql":
            self.conn.cursor().execute("SET lock_timeout = '1s'")

    def run(self):
        began = time.monotonic()
        n = 0
        while time.monotonic() - began < self.seconds:
            wait = began + n / self.rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            n += 1
            t = time.monotonic()
            try:
                self.ids.append(self.database.insert("010%08d" % (30000000 + n), "in the middle of it", conn=self.conn))
            except Exception as e:              # noqa: BLE001 - that is the finding
                self.errors.append(repr(e))
            self.times_ms.append((time.monotonic() - t) * 1000)
        self.conn.close()

    def percentile(self, p):
        all_of = sorted(self.times_ms)
        return all_of[min(len(all_of) - 1, int(len(all_of) * p))]

    def text(self):
        return "%d INSERTs, p50 %.1f ms, p99 %.1f ms, worst %.1f ms, %d errors" % (
            len(self.times_ms), self.percentile(0.5), self.percentile(0.99), max(self.times_ms), len(self.errors))


class Watch(threading.Thread):
    """Looks ten times a second who waits for whom in this database: the lock report."""

    def __init__(self, database, server):
        super().__init__(daemon=True)
        self.database, self.server = database, server
        self.looks = 0
        self.seen = {}
        self.go_on = True

    MYSQL = ("SELECT w.trx_mysql_thread_id, w.trx_query, b.trx_mysql_thread_id, b.trx_query "
             "FROM information_schema.innodb_lock_waits l JOIN information_schema.innodb_trx w ON w.trx_id = l.requesting_trx_id "
             "JOIN information_schema.innodb_trx b ON b.trx_id = l.blocking_trx_id")
    POSTGRESQL = ("SELECT w.pid, w.query, b.pid, b.query FROM pg_stat_activity w JOIN LATERAL unnest(pg_blocking_pids(w.pid)) p ON true "
                  "JOIN pg_stat_activity b ON b.pid = p WHERE w.datname = '%s'")

    def run(self):
        sql = self.MYSQL if self.database.dialect == "mysql" else self.POSTGRESQL % self.database.name
        while self.go_on:
            for waiter, what, holder, by in self.server.admin(sql):
                key = (" ".join((what or "").split())[:90], " ".join((by or "").split())[:90])
                self.seen.setdefault(key, set()).add((waiter, holder))
            self.looks += 1
            time.sleep(0.1)

    def end(self):
        self.go_on = False
        self.join(10)

    def report(self):
        lines = ["lock report: %d looks, %d kinds of waits" % (self.looks, len(self.seen))]
        return "\n".join(lines + ["  %s\n    waits for: %s" % k for k in self.seen])

    def waits_of_customers(self):
        """Statements of an application's INSERT that waited for anybody."""
        return [k for k in self.seen if k[0].upper().startswith("INSERT INTO MT_SEND")]


class Long:
    """A customer's transaction that stays open: a snapshot, and another one that has written."""

    def __init__(self, database):
        self.conns = []
        begin = {"mysql": "START TRANSACTION WITH CONSISTENT SNAPSHOT", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ",
                 "sqlite": "BEGIN"}[database.dialect]
        reader = database.connect()
        reader.cursor().execute(begin)
        cur = reader.cursor()
        cur.execute("SELECT COUNT(*) FROM mt_send")
        self.first = cur.fetchone()[0]
        self.reader = reader
        self.conns.append(reader)
        self.own = None
        # SQLite has one writer: a transaction that has written keeps everybody out, also without an agent.
        if database.dialect != "sqlite":
            writer = database.connect()
            writer.cursor().execute("BEGIN")
            self.own = database.insert("01077770000", "not yet committed", conn=writer)
            n = writer.cursor().execute("UPDATE mt_send SET etc1 = 'mine' WHERE msg_id = %s", (self.own,))
            assert n in (1, None)
            self.writer = writer
            self.conns.append(writer)

    def again(self):
        cur = self.reader.cursor()
        cur.execute("SELECT COUNT(*) FROM mt_send")
        return cur.fetchone()[0]

    def end(self):
        if self.own:
            self.writer.cursor().execute("COMMIT")
        self.reader.cursor().execute("COMMIT")
        for c in self.conns:
            c.close()


def backup(database, folder):
    """A full one, as a DBA makes it; returns its size."""
    path = os.path.join(folder, "backup")
    if database.dialect == "sqlite":
        with contextlib.closing(sqlite3.connect(path)) as to, contextlib.closing(database.connect()) as live:
            live.backup(to, pages=50, sleep=0.005)
        return os.path.getsize(path)
    if database.dialect == "mysql":
        argv = [find("mariadb-dump", "mysqldump"), "--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-P",
                str(database.server.port), "-u", OWNER, "--single-transaction", "--no-tablespaces", database.name]
        env = {"MYSQL_PWD": PASSWORD}
    else:
        argv = [find("pg_dump"), "-h", "127.0.0.1", "-p", str(database.server.port), "-U", OWNER, database.name]
        env = {"PGPASSWORD": PASSWORD}
    with open(path, "wb") as out:
        done = subprocess.run(argv, stdout=out, stderr=subprocess.PIPE, env=dict(os.environ, **env), timeout=600)
    assert done.returncode == 0, done.stderr.decode()
    return os.path.getsize(path)


def test_the_customer_goes_on_working(servers, database, sim, agent, oracle, folder):
    seconds = proof.size(10, 600)
    sim.config(report_delay_ms=20)
    # First without an agent, then with it, on the same table.
    alone = Session(database, RATE, proof.size(3, 60))
    alone.start()
    alone.join()
    assert not alone.errors, alone.errors[:3]
    a = agent(channel=CHANNEL, extra={"times": {"heartbeat": "500ms", "care_pass": "500ms", "idle_poll": "100ms"}})
    database.wait_empty(60, fail=a.dead_text)
    watch = None if database.kind == "sqlite" else Watch(database, servers(database.kind))
    together = Session(database, RATE, seconds)
    held = None
    if watch:
        watch.start()
    sizes = []
    try:
        held = Long(database)
        together.start()
        while together.is_alive():
            sizes.append(backup(database, folder))
            together.join(proof.size(1, 20))
        # What was inserted meanwhile is sent, although the long transactions are still open.
        wait_until(lambda: database.count("result") >= len(alone.ids) + len(together.ids), 60, "all but the open one",
                   fail=a.dead_text)
        assert held.again() == held.first, "the customer's snapshot stands still"
    finally:
        if held:
            held.end()
        if watch:
            watch.end()
    database.wait_empty(60, fail=a.dead_text)
    a.stop()
    oracle.expect(*alone.ids, *together.ids, *([held.own] if held.own else []))
    oracle.check()
    print("%s\nwithout an agent: %s\nwith the agent:   %s\n%d backups, the last of %d KiB"
          % (database.kind, alone.text(), together.text(), len(sizes), sizes[-1] // 1024))
    if watch:
        print(watch.report())
        assert watch.looks > seconds
        assert not watch.waits_of_customers(), watch.report()
    assert not together.errors, together.errors[:5]
    assert len(together.ids) >= RATE * seconds * 0.2, "the machine is too slow for this"
    proof.record("scenario 10", database.kind, inserts=len(together.ids), errors=len(together.errors), backups=len(sizes),
                 lock_waits=len(watch.waits_of_customers()) if watch else 0,
                 p99_alone_ms=alone.percentile(0.99), p99_agent_ms=together.percentile(0.99), worst_ms=max(together.times_ms))


@pytest.mark.db("mariadb", "postgresql")
def test_rows_that_the_customer_holds_are_no_reason_to_stop(database, sim, agent, oracle):
    """An open transaction has changed waiting rows: those wait for it, nothing else does, and what it says holds."""
    database.insert_many(30)
    held = [r["msg_id"] for r in database.rows("send")][:10]
    other = database.connect()
    other.cursor().execute("BEGIN")
    for msg_id in held:
        other.cursor().execute("UPDATE mt_send SET cancel_yn = 'Y' WHERE msg_id = %s", (msg_id,))
    a = agent(channel=CHANNEL)
    database.insert_many(50)
    oracle.snapshot()
    try:
        wait_until(lambda: database.count("result", "result_class = 'OK'") == 70, 30, "all the others", fail=a.dead_text)
        fresh = database.insert("010-2000-0001", "comes later")
        oracle.expect(fresh)
        database.wait_result(fresh, 10, fail=a.dead_text, result_class="OK")
    finally:
        other.cursor().execute("COMMIT")
        other.close()
    database.wait_empty(30, fail=a.dead_text)
    a.stop()
    oracle.check()
    assert {r["msg_id"] for r in database.rows("result", "result_code = '3007'")} == set(held)
