"""Two agents on one table, and everything around them fails at random: nothing is lost, nobody is texted twice.

MTRELAY_STORM: how many blows (default 15), MTRELAY_SEED repeats one run.  The provider does not recognise a key that it had
before, so that the oracle sees a second sending.
"""

import os
import random
import signal
import time

import pytest

from lib.wait import WaitTimeout, wait_until

TIMES = {"quiet_time": "1500ms", "unknown_look": "100ms", "care_pass": "100ms", "write_deadline": "1s",
         "row_lease": "2500ms", "agent_lease": "1200ms", "drain": "3s"}


class Storm:
    def __init__(self, rng, database, sim, agents, servers):
        self.rng = rng
        self.database = database
        self.sim = sim
        self.agents = agents
        self.servers = servers

    def kill(self, a):
        if a.alive():
            a.kill9()

    def end(self, a):
        if a.alive():
            a.stop(expect=None)

    def still(self, a):
        """Shorter than the row lease: what it has marked must be on its way before another one may ask for it."""
        if a.alive():
            a.signal(signal.SIGSTOP)
            time.sleep(self.rng.uniform(0.1, 1.2))
            a.signal(signal.SIGCONT)

    def cut(self, _):
        self.sim.close_connections()

    def away(self, _):
        self.sim.listen(False, ms=self.rng.randrange(50, 500))

    def hang(self, _):
        self.sim.rule(hang=True, times=1)

    def refuse(self, _):
        self.sim.rule(status=503, accept=self.rng.random() < 0.5, times=2)

    def throttle(self, _):
        self.sim.rule(status=429, retry_after=1, accept=False, times=1)

    def lose(self, _):
        self.sim.rule(cut=self.rng.choice(["before_read", "mid_read", "after_read", "mid_response"]), times=2)

    def database_dies(self, _):
        if self.database.kind == "sqlite":
            return
        self.database.forget()
        server = self.servers(self.database.kind)
        server.kill9()
        time.sleep(self.rng.uniform(0, 0.5))
        server.start()

    BLOWS = [kill] * 6 + [end] * 2 + [still] * 3 + [cut] * 2 + [away, hang, refuse, throttle, lose, lose, database_dies]

    def blow(self):
        what = self.rng.choice(self.BLOWS)
        a = self.rng.choice(self.agents)
        print("%s %s" % (what.__name__, os.path.basename(a.dir)))
        what(self, a)


def left(database):
    return database.query("SELECT status, owner, channel, hold_code, pend_class, try_no, COUNT(*) AS n, MIN(msg_id) AS first, "
                          "MIN(due_at) AS due FROM {p}send GROUP BY status, owner, channel, hold_code, pend_class, try_no")


def wait_rows(database, where, deadline_s, agents):
    try:
        wait_until(lambda: database.count("send", where) == 0, deadline_s, "no row with %s" % where)
    except WaitTimeout as e:
        raise AssertionError("%s\nleft: %s\nstatus: %s" % (
            e, left(database), [a.ctl("status", "--json", check=False).stdout for a in agents]))


def test_storm(servers, database, sim, agent, oracle):
    seed = int(os.environ.get("MTRELAY_SEED", "0")) or random.randrange(1 << 30)
    print("seed %d" % seed)
    rng = random.Random(seed)
    sim.config(dedupe="off", report_delay_ms=20, answer_delay_ms=5)
    agents = [agent(start=False, channel={"batch": 20, "log_queries_per_minute": 6000},
                    extra={"times": TIMES, "limits": {"batch": 40, "journal_segment": "256KiB"},
                           "database": {"sessions": 3 - n}}) for n in range(2)]
    storm = Storm(rng, database, sim, agents, servers)
    inserted = 0
    for _ in range(int(os.environ.get("MTRELAY_STORM", "0")) or 15):
        database.insert_many(50)
        inserted += 50
        for a in agents:
            if not a.alive():
                a.start(wait=False)
        time.sleep(rng.uniform(0, 0.5))
        storm.blow()
    sim.clear_rules()
    for a in agents:
        if not a.alive():
            a.start(wait=False)
        a.wait_ready(60)
    wait_rows(database, "status <> 2", 90, agents)
    # A page of reports may have been lost with a process: an hour before their close these are asked for.
    database.execute("UPDATE {p}send SET due_at = %s WHERE status = 2" % database.later_sql(600))
    wait_rows(database, "1 = 1", 60, agents)
    for a in agents:
        a.stop()
    results = database.rows("result")
    assert len(results) == inserted
    oracle.expect(*(r["msg_id"] for r in results))
    oracle.check()
    unknown = [r for r in results if r["result_class"] == "UNKNOWN"]
    assert not unknown, "the provider could be asked about each of them: %s" % unknown[:3]
    if not all(r["result_class"] == "OK" for r in results):
        pytest.fail("a phone that can be reached: %s" % [r for r in results if r["result_class"] != "OK"][:3])
