"""Scenario 5: the database is put back to an older copy while two agents run.

Servers: killed, the data folder replaced by the copy, started again. SQLite: the copy is written over the file that is in use. Each
agent must stop and raise the alarm within 10 seconds, with the heartbeat of the defaults; with a provider that recognises our keys
nobody is texted twice; with one that does not, and policy hold, nothing is sent again and every suspect is listed.
"""

import contextlib
import os
import shutil
import sqlite3
import time

import pytest

from lib import proof
from lib.wait import WaitTimeout, wait_until

# Leases and write deadline as shipped, in the long form the heartbeat, too; what only makes a test wait is short.
TIMES = {"heartbeat": proof.size("1s", None), "agent_lease": None, "write_deadline": None, "row_lease": None, "quiet_time": "1s",
         "unknown_look": "100ms", "care_pass": "200ms", "idle_poll": "50ms"}
# A page of reports whose answer comes too late on a busy machine would be lost until the close.
CHANNEL = {"batch": 10, "log_queries_per_minute": 6000, "report_poll": "50ms", "answer_timeout": "5s"}
HOLD = [{"type": ["SMS", "LMS"], "channels": ["infobip"], "on_unknown": "hold"}]
WAVE = 20


class Copy:
    """The database as it is now."""

    def __init__(self, servers, database):
        self.database = database
        self.server = None if database.kind == "sqlite" else servers(database.kind)
        database.forget()
        if self.server is None:
            self.memory = sqlite3.connect(":memory:", check_same_thread=False)
            database.conn.backup(self.memory)
            return
        self.server.stop()
        self.data = os.path.join(self.server.dir, "data")
        self.old = os.path.join(self.server.dir, "data.old")
        shutil.rmtree(self.old, ignore_errors=True)
        copy_tree(self.data, self.old)
        self.server.start()

    def put_back(self):
        """Returns when it answers again."""
        self.database.forget()
        if self.server is None:
            with contextlib.closing(self.database.connect()) as live:
                self.memory.backup(live)
            self.memory.close()
            return
        self.server.kill9()
        shutil.rmtree(self.data)
        os.rename(self.old, self.data)
        self.server.start()


def copy_tree(src, dst):
    """With owners: PostgreSQL refuses a folder that is not its own."""
    shutil.copytree(src, dst)
    if os.geteuid() == 0:
        for folder, folders, files in os.walk(src):
            for name in [""] + folders + files:
                a = os.path.join(folder, name)
                st = os.lstat(a)
                os.chown(os.path.join(dst, os.path.relpath(a, src)), st.st_uid, st.st_gid)


def make(agent, count=2, **kw):
    made = [agent(start=False, channel=CHANNEL, extra=dict({"times": TIMES}, **kw)) for _ in range(count)]
    for a in made:
        a.start(wait=False)
    for a in made:
        a.wait_ready(60)
    return made


def pause(agents, verb="pause"):
    for a in agents:
        a.ctl(verb, "infobip")


def handed(sim):
    return sim.stats().get("items_in", 0)


def insert_paused(database, agents, count):
    """Rows that wait: the copy will have them as new."""
    pause(agents)
    # Of every second one the provider never reports; its log of sendings knows what became of it.
    database.insert_many(count, recipient=lambda n: "01000000004" if n % 2 else "010%08d" % (10000000 + n))
    return {r["msg_id"] for r in database.rows("send")}


def two_heartbeats(database, agents):
    """What an agent can notice are its own commits: the copy has to be older than its last heartbeat."""
    for a in agents:
        for _ in range(2):
            was = database.one("SELECT heartbeat_at FROM {p}agent WHERE agent_id = ?", (a.config["agent"]["id"],))
            wait_until(lambda: database.one("SELECT heartbeat_at FROM {p}agent WHERE agent_id = ?",
                                            (a.config["agent"]["id"],)) != was, 20, "a heartbeat", fail=a.dead_text)


def send_all(database, agents, ids):
    """Half of these get their results, the other half are accepted and wait for a report."""
    pause(agents, "resume")
    wait_until(lambda: database.count("send", "status = 2") == database.count("send") == len(ids) // 2, 30, "half a result")
    two_heartbeats(database, agents)


def frozen(agents):
    return [a for a in agents if a.log_has(r"ERROR mtrelayd relay\.frozen reason=\"test-\d: the database")]


def wait_frozen(agents, since, count):
    wait_until(lambda: len(frozen(agents)) >= count, 20, "the alarm in the log of %d" % count, pause_s=0.01)
    took = time.monotonic() - since
    assert took <= 10, "%.1f s until the alarm" % took
    return took


def wait_held(database, agents, count):
    try:
        wait_until(lambda: database.count("send", "status = 4") == count, 30, "every suspect held",
                   fail=lambda: [a.dead_text() for a in agents if not a.alive()])
    except WaitTimeout as e:
        raise AssertionError("%s: %s" % (e, database.query(
            "SELECT status, hold_code, owner, try_no, COUNT(*) AS n, MIN(msg_id) AS first FROM {p}send "
            "GROUP BY status, hold_code, owner, try_no")))


def test_with_a_provider_that_recognises_keys_nobody_is_texted_twice(servers, database, sim, agent, oracle):
    agents = make(agent)
    database.insert_many(4)
    database.wait_empty(20)
    ids = insert_paused(database, agents, 2 * WAVE)
    oracle.expect(*ids)
    copy = Copy(servers, database)
    sim.rule(match={"nth": 3}, delay_ms=200)
    send_all(database, agents, ids)
    copy.put_back()
    since = time.monotonic()
    took = wait_frozen(agents, since, 1)
    assert database.count("history", "event = 'freeze'") == 1
    database.wait_empty(60, fail=lambda: agents[0].dead_text() or agents[1].dead_text())
    wait_until(lambda: database.one("SELECT frozen FROM {p}meta") == "N", 20,
               "the end of the freeze: both have told what their journals knew")
    for a in agents:
        a.stop()
    oracle.check()
    assert all(t.phone == 1 for t in sim.truth().values())
    print("alarm after %.1f s; the provider saw %d messages for %d" % (took, handed(sim), len(ids) + 4))
    proof.record("scenario 5, keys", database.kind, messages=len(ids), alarm_s=took, repeats=handed(sim) - len(ids) - 4)


def test_with_a_provider_that_does_not_nothing_is_sent_again(servers, database, sim, agent, oracle):
    """One of the two agents is gone for good: then only a human ends the freeze."""
    sim.config(dedupe="off")
    agents = make(agent, routes=HOLD)
    database.insert_many(4)
    database.wait_empty(20)
    a, b = agents
    ids = insert_paused(database, agents, 2 * WAVE)
    copy = Copy(servers, database)
    b.kill9()
    send_all(database, [a], ids)
    copy.put_back()
    since = time.monotonic()
    took = wait_frozen([a], since, 1)
    after = handed(sim)
    wait_held(database, [a], len(ids))
    listed = {r["msg_id"] for r in a.ctl_json("unknown", "list", check=False)["rows"]}
    assert listed == ids, listed ^ ids
    fresh = database.insert("010-2000-9999", "after the copy")
    assert database.one("SELECT frozen FROM {p}meta") == "Y"
    explained = a.ctl("explain", fresh, check=False).stdout
    assert "frozen" in explained.lower() and "unfreeze" in explained, explained
    assert handed(sim) == after and database.count("send", "status = 0") == 1
    a.ctl("unfreeze", "--by", "tester", "--reason", "looked at all of them")
    wait_until(lambda: handed(sim) == after + 1, 20, "the fresh one, and nothing else", fail=a.dead_text)
    database.wait_result(fresh, 20, fail=a.dead_text, result_class="OK")
    # A report is evidence whenever it comes.
    late = database.rows("send", "status = 4")[0]
    sim.inject(late["client_key"])
    database.wait_result(late["msg_id"], 20, fail=a.dead_text, result_class="OK")
    a.stop()
    assert handed(sim) == after + 1
    truth = sim.truth().values()
    assert all(t.accepted == 1 for t in truth), [t for t in truth if t.accepted != 1]
    print("alarm after %.1f s; %d suspects listed, none sent again" % (took, len(ids)))
    proof.record("scenario 5, hold", database.kind, suspects=len(ids), alarm_s=took, sent_again=0)


def test_an_agent_that_was_idle_since_the_copy_takes_nothing_either(servers, database, sim, agent, oracle):
    """Its own claims were not lost: it has made none. What it has lost is its heartbeats."""
    sim.config(dedupe="off")
    agents = make(agent, routes=HOLD)
    busy, idle = agents
    database.insert_many(4)
    database.wait_empty(20)
    ids = insert_paused(database, agents, 2 * WAVE)
    copy = Copy(servers, database)
    send_all(database, [busy], ids)
    two_heartbeats(database, [idle])
    pause([idle], "resume")
    pause([busy])
    after = handed(sim)
    copy.put_back()
    since = time.monotonic()
    took = wait_frozen(agents, since, 1)
    wait_held(database, agents, len(ids))
    for a in agents:
        a.stop()
    assert handed(sim) == after, "%d sent again" % (handed(sim) - after)
    print("alarm after %.1f s" % took)
    proof.record("scenario 5, idle", database.kind, suspects=len(ids), alarm_s=took, sent_again=0)
