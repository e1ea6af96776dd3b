"""Scenario 9: clocks that are wrong.

The agent's host: 26 hours before or behind, and stepping while it runs (libfaketime; the clock that counts since the boot is left
alone, as the kernel leaves it). Only log lines may show it: all times of messages are the database's. The database's own clock jumps
an hour ahead (the server runs under libfaketime): no message expires, is closed or is sent twice because of it.
"""

import contextlib
import glob
import os
import re
import time

import pytest

from lib import db as dbs
from lib import paths, proof
from lib.wait import WaitTimeout, wait_until

QUICK = {"times": {"quiet_time": "3s", "unknown_look": "100ms", "care_pass": "100ms", "heartbeat": "200ms", "agent_lease": "2s",
                   "write_deadline": "2s", "row_lease": "12s"}}
pytestmark = pytest.mark.db("mariadb", "postgresql")
# A page of reports whose answer comes too late on a busy machine would be lost until the close.
CHANNEL = {"batch": 20, "log_queries_per_minute": 6000, "answer_timeout": "5s"}


def library():
    found = sorted(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") + glob.glob("/usr/lib*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("libfaketime is not installed")
    return found[0]


class Clock:
    """What a process under libfaketime believes, to be moved while it runs."""

    def __init__(self, folder, name):
        self.path = os.path.join(folder, name)
        self.set("+0")

    def set(self, offset):
        """"+26h", "-90m", "+0"."""
        with open(self.path + ".new", "w", encoding="ascii") as f:
            f.write(offset + "\n")
        os.chmod(self.path + ".new", 0o644)
        os.rename(self.path + ".new", self.path)

    def env(self):
        asan = [x for x in (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0") if x]
        return {"LD_PRELOAD": library(), "FAKETIME_TIMESTAMP_FILE": self.path, "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1",
                "ASAN_OPTIONS": ":".join(asan)}


def hour_of(a):
    return re.findall(r"^(\d{4}-\d\d-\d\dT\d\d):", a.log(), re.M)


# ---- the host's clock ----


def test_hosts_whose_clocks_are_a_day_apart(database, sim, agent, oracle, folder):
    """Two agents, one 26 hours ahead, one 26 behind; both step about while they work."""
    sim.config(dedupe="off", report_delay_ms=20)
    clocks = [Clock(folder, "ahead"), Clock(folder, "behind")]
    agents = [agent(start=False, channel=CHANNEL, extra=QUICK, env=c.env()) for c in clocks]
    for c, offset in zip(clocks, ("+26h", "-26h")):
        c.set(offset)
    database.insert_many(60)
    oracle.snapshot()
    for a in agents:
        a.start()
    # They really believe it.
    assert hour_of(agents[0])[0] > time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() + 24 * 3600))
    assert hour_of(agents[1])[0] < time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() - 24 * 3600))
    steps = proof.size(["-26h", "+90m", "-1s"], ["-26h", "+26h", "+90m", "-90m", "+30s", "-30s", "+1s", "-1s"] * 20)
    for n, step in enumerate(steps):
        clocks[n % 2].set(step)
        database.insert_many(40)
        wait_until(lambda: database.count("send") <= 20, 20, "most of them", fail=lambda: agents[0].dead_text() or agents[1].dead_text())
    database.wait_empty(30)
    for a in agents:
        a.stop()
    results = database.rows("result")
    assert len(results) == 60 + 40 * len(steps)
    oracle.expect(*(r["msg_id"] for r in results))
    oracle.check()
    assert {r["result_class"] for r in results} == {"OK"}
    late = [r for r in results if r["sent_at"] is not None and r["sent_at"] > r["done_at"]]
    assert not late, late[:3]
    for a in agents:
        assert not a.log_has(r"clock\.jump|relay\.frozen|relay\.stuck|taken_over"), a.log()
    now = database.one("SELECT CASE WHEN COUNT(*) = 0 THEN 1 ELSE 0 END AS fine FROM {p}result WHERE done_at > %s OR done_at < %s"
                       % (database.later_sql(5), database.later_sql(-600)))
    assert now == 1, "times in results are the database's"
    proof.record("scenario 9, hosts", database.kind, steps=len(steps), messages=len(results))


# ---- the database's clock ----


class FakedMariaDB(dbs.MariaDB):
    def environment(self):
        return self.options["clock"].env()


class FakedPostgreSQL(dbs.PostgreSQL):
    def run(self):
        # Its own way to start takes no environment; ours is inherited.
        old = {k: os.environ.get(k) for k in self.options["clock"].env()}
        os.environ.update(self.options["clock"].env())
        try:
            super().run()
        finally:
            for k, v in old.items():
                if v is None:
                    os.environ.pop(k)
                else:
                    os.environ[k] = v


@pytest.fixture(scope="module")
def servers():
    """Servers whose clocks can be moved, in the place of the usual ones."""
    made, where = {}, paths.temp_dir("clock")

    def get(kind):
        if kind not in made:
            clock = Clock(where, kind)
            made[kind] = {"mariadb": FakedMariaDB, "postgresql": FakedPostgreSQL}[kind](clock=clock)
            made[kind].clock = clock
        return made[kind]

    yield get
    for server in made.values():
        server.close()
    paths.remove_dir(where)


def hours_ahead(database):
    """How far the database's clock is before ours."""
    sql = {"mysql": "SELECT UNIX_TIMESTAMP(NOW(3))", "postgresql": "SELECT EXTRACT(EPOCH FROM clock_timestamp())"}[database.dialect]
    return (float(database.one(sql)) - time.time()) / 3600


@contextlib.contextmanager
def moved(database):
    """Gives a function that moves the database's clock; it is right again afterwards."""
    clock = database.server.clock

    def move(offset, hours):
        clock.set(offset)
        wait_until(lambda: abs(hours_ahead(database) - hours) < 0.1, 10, "the database's clock to jump")
    try:
        yield move
    finally:
        clock.set("+0")


def test_the_clock_of_the_database_jumps_an_hour_ahead(database, sim, agent, oracle):
    """Rows in every state are there: waiting, reserved, claimed, accepted, unknown. None expires, none is closed, none is sent twice;
    then and when the clock goes back again, the agents stop, compare with their journals, and go on by themselves."""
    sim.config(dedupe="off", report_delay_ms=20)
    agents = [agent(channel=CHANNEL, extra=QUICK) for _ in range(2)]
    died = lambda: agents[0].dead_text() or agents[1].dead_text()       # noqa: E731
    with moved(database) as move:
        assert abs(hours_ahead(database)) < 0.1
        sim.pause_reports()
        database.insert_many(20)
        wait_until(lambda: database.count("send", "status = 2") == 20, 20, "accepted ones", fail=died)
        sim.rule(hang=True, accept=True, times=1)
        database.insert_many(15)
        wait_until(lambda: sim.stats()["items_in"] == 35, 20, "some under way", fail=died)
        agents[0].ctl("pause", "infobip")
        agents[1].ctl("pause", "infobip")
        database.insert_many(20)
        ids = {r["msg_id"] for r in database.rows("send")}
        ids.add(database.insert(send_at=dbs.Sql(database.later_sql(1800)), body="reserved"))
        ids.add(database.insert(expire_at=dbs.Sql(database.later_sql(7200)), body="two hours to go"))
        move("+1h", 1)
        for a in agents:
            a.wait_log(r"relay\.frozen .*clock went ahead by 3[56]\d\d s|relay\.frozen .*set by another agent")
            a.ctl("resume", "infobip")
        sim.resume_reports()
        database.wait_empty(60, fail=died)
        results = database.rows("result")
        assert {r["result_class"] for r in results} == {"OK"} and len(results) == len(ids), results
        # Back again: commits may be gone as far as the agents can see.
        move("+0", 0)
        since = time.monotonic()
        wait_until(lambda: all(a.log_has(r"relay\.frozen .*clock went back|relay\.frozen .*set by another(?s:.*)relay\.frozen")
                               for a in agents), 15, "the alarm", fail=died)
        took = time.monotonic() - since
        ids.add(database.insert(body="after the jump back"))
        try:
            database.wait_empty(30, fail=died)
        except WaitTimeout as e:
            raise AssertionError("%s: %s" % (e, database.query("SELECT s.*, %s AS now_is FROM {p}send s" % database.now_sql)))
        for a in agents:
            a.stop()
    oracle.expect(*ids)
    oracle.check()
    assert {r["result_class"] for r in database.rows("result")} == {"OK"}
    proof.record("scenario 9, jump", database.kind, messages=len(ids), alarm_s=took)


def test_a_jump_does_not_shorten_the_quiet_time(failpoints, database, sim, agent, oracle):
    """One agent stands still between its mark and the first byte; the database's clock jumps, so that all leases are over at once;
    the other one takes the rows for unknown, asks, is told "not found" and must not believe it yet."""
    sim.config(dedupe="off", report_delay_ms=20)
    slow = {"times": dict(QUICK["times"], write_deadline="6s", row_lease="20s", agent_lease="10s", heartbeat="500ms", quiet_time="8s")}
    a = agent(start=False, channel=CHANNEL, extra=slow)
    b = agent(channel=CHANNEL, extra=slow)
    b.ctl("pause", "infobip")
    with moved(database) as move:
        database.insert_many(10, msg_type="SMS")
        oracle.snapshot()
        a.start(failpoint="wire_after_mark:stall=4000:1")
        wait_until(lambda: database.count("send", "status = 1") == 10, 10, "a claim", fail=a.dead_text)
        b.ctl("resume", "infobip")
        move("+1h", 1)
        wait_until(lambda: database.count("send", "status = 3") + database.count("result") >= 10
                   or sim.stats().get("items_in", 0) >= 10, 10, "the other one to take them", fail=b.dead_text)
        a.wait_log("relay.frozen", 20)          # it goes on, and hands over what it had
        database.wait_empty(60, fail=lambda: a.dead_text() or b.dead_text())
        for one in (a, b):
            one.stop()
    oracle.check()
    assert sim.stats()["accepted"] == 10, "%d at the provider" % sim.stats()["accepted"]
