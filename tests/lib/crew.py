"""Several agents on one table, killed and started again, and the wait until everything is done.

Shared by the proofs of fault/.  The provider of these does not recognise a key that it had before, unless a proof says so: a second
sending then reaches the phone, and the oracle sees it.
"""

import datetime
import json

from . import conf
from .oracle import Oracle
from .wait import WaitTimeout, wait_until

# A kill leaves questions that the agent asks at its pace; here it is a quick one.
TIMES = {"quiet_time": "1200ms", "unknown_look": "100ms", "care_pass": "100ms", "write_deadline": "1s", "row_lease": "2500ms",
         "agent_lease": "1200ms", "drain": "5s"}
BASE = {"times": TIMES, "limits": {"batch": 40, "journal_segment": "256KiB"}}
CHANNEL = {"batch": 20, "log_queries_per_minute": 6000}
# An end that the supervisor answers with a new start: no database, taken over, stuck.
AGAIN = (69, 75)
HELD = "status = 4 AND COALESCE(hold_code, '') = '8002'"


class Crew:
    def __init__(self, make, database, sim, count, channel=None, extra=None, dedupe="off", **kw):
        """make: the factory of the fixture agent.  Nothing is started."""
        self.database = database
        self.sim = sim
        self.oracle = Oracle(database, sim)
        self.inserted = 0
        self.kills = 0
        self.at_work = 0            # kills that left rows in SENDING
        self.worst_s = 0.0
        # An id that the provider has refused may come again: else it would call a message its own that it never took.
        sim.config(dedupe=dedupe, rejected_ids="free", report_delay_ms=20)
        self.agents = [make(start=False, channel=conf.merge(CHANNEL, channel), extra=conf.merge(BASE, extra), **kw)
                       for _ in range(count)]

    def __iter__(self):
        return iter(self.agents)

    def __getitem__(self, n):
        return self.agents[n]

    def insert(self, count, **kw):
        self.database.insert_many(count, **kw)
        self.inserted += count

    def start(self, ready=False):
        """Starts whoever does not run, as a supervisor would."""
        for a in self.agents:
            if not a.alive():
                assert a.proc is None or a.proc.popen.returncode in AGAIN + (0, -9), a.proc.tail()
                a.start(wait=False)
        for a in self.agents if ready else ():
            self.wait_ready(a)

    def wait_ready(self, a, deadline_s=60):
        def ready():
            if not a.alive():
                assert a.proc.popen.returncode in AGAIN, a.proc.tail()
                a.start(wait=False)
            return a.notify.has("READY", "1")
        wait_until(ready, deadline_s, "%s to be ready" % a.dir)

    def kill(self, a):
        if a.alive():
            a.kill9()
            self.kills += 1
            self.at_work += self.database.count("send", "status = 1 AND owner = ?", (a.config["agent"]["id"],)) > 0

    def watch(self):
        """Remembers how long the oldest row has been in SENDING; returns how many rows are left."""
        row = self.database.query("SELECT COUNT(*) AS n, MIN(CASE WHEN status = 1 THEN last_sent_at END) AS since, %s AS now "
                                  "FROM {p}send" % self.database.now_sql)[0]
        if row["since"]:
            self.worst_s = max(self.worst_s, (_time(row["now"]) - _time(row["since"])).total_seconds())
        return row["n"]

    def left(self):
        return self.database.query(
            "SELECT status, owner, channel, hold_code, pend_class, try_no, resend_no, COUNT(*) AS n, MIN(msg_id) AS first, "
            "MIN(due_at) AS due FROM {p}send GROUP BY status, owner, channel, hold_code, pend_class, try_no, resend_no")

    def wait_rows(self, where, deadline_s):
        def done():
            self.start()
            self.watch()
            return self.database.count("send", where) == 0
        try:
            wait_until(done, deadline_s, "no row with %s" % where)
        except WaitTimeout as e:
            raise AssertionError("%s\nleft: %s\nstatus: %s" % (
                e, self.left(), [a.ctl("status", "--json", check=False).stdout for a in self.agents]))

    def settle(self, deadline_s=90):
        """Ends the trouble and waits until only rows are left that nobody but a human can decide."""
        self.sim.clear_rules()
        self.start(ready=True)
        self.wait_rows("status <> 2 AND NOT (%s)" % HELD, deadline_s)
        # A page of reports is lost with the process that pulled it: these are asked for an hour before their close.
        self.database.execute("UPDATE {p}send SET due_at = %s WHERE status = 2" % self.database.later_sql(600))
        self.wait_rows("NOT (%s)" % HELD, deadline_s)

    def listed(self):
        """Ids that `mtrelayctl unknown list` names."""
        done = self.agents[0].ctl("unknown", "list", "--limit", "100000", "--json", check=False)
        assert done.returncode in (0, 1), done.stdout + done.stderr
        got = json.loads(done.stdout)
        assert not got["more"]
        return {r["msg_id"] for r in got["rows"]}

    def held(self):
        """The rows that are left, all HELD, are exactly those that the operator is shown; their ids."""
        rows = self.database.rows("send")
        assert all(r["status"] == 4 for r in rows), self.left()
        ids = {r["msg_id"] for r in rows}
        assert self.listed() == ids
        return ids

    def check(self, held=()):
        """Asks the oracle; every message that was inserted has its one result, or is one of held."""
        results = self.database.rows("result")
        left = {r["msg_id"] for r in self.database.query("SELECT msg_id FROM {p}send")}
        assert left == set(held)
        assert len(results) + len(left) == self.inserted, "%d inserted, %d results, %d held" % (
            self.inserted, len(results), len(left))
        self.oracle.expect(*(r["msg_id"] for r in results), *left)
        self.oracle.check(all_done=not held)
        unknown = [r for r in results if r["result_class"] == "UNKNOWN"]
        assert not unknown, "the provider could be asked about each of them: %s" % unknown[:3]
        wrong = [r for r in results if r["result_class"] != "OK"]
        assert not wrong, "a phone that can be reached: %s" % wrong[:3]

    def decide(self, ids):
        """What an operator does who asks the provider by telephone: sent, or again."""
        had = {Oracle.id_of(t.id) for t in self.sim.truth().values() if t.accepted}
        for msg_id in ids:
            words = ["sent"] if msg_id in had else ["resend", "--yes-it-may-arrive-twice"]
            self.agents[0].ctl("unknown", "resolve", msg_id, *words, "--by", "test", "--reason", "asked the provider")

    def finish(self, deadline_s=90):
        """settle(), what is HELD after three automatic re-sends is decided, and the oracle finds nothing; how many were."""
        self.settle(deadline_s)
        held = self.held()
        assert self.database.count("send", "resend_no < 3") == 0, "the provider could be asked: %s" % self.left()
        self.check(held)
        if held:
            self.decide(held)
            self.wait_rows("status <> 2", deadline_s)
            self.database.execute("UPDATE {p}send SET due_at = %s WHERE status = 2" % self.database.later_sql(600))
            self.wait_rows("1 = 1", deadline_s)
            self.check()
        return len(held)

    def stop(self):
        for a in self.agents:
            if a.alive():
                a.stop()


def _time(value):
    return datetime.datetime.fromisoformat(value) if isinstance(value, str) else value
