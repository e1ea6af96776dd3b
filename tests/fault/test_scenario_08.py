"""Scenario 8: an agent is frozen at a fault point behind the claim, for longer than every lease; another one finishes its work; then it
thaws.

No phone gets a message twice, and what the one that comes back wants to write is refused by the fence (settle.stale, wire.late in its
log).  A frozen agent may hold a transaction open: the server ends it (database.statement_timeout), so that the other one is not
kept waiting for the rows; SQLite has one lock for all and no server that could, there the other one waits.

The write deadline is tested once more directly before the request is written.  Who is frozen in the microseconds between that test and
the write is not seen by anybody but a provider that recognises the key: the freeze is set outside of them.
"""

import contextlib
import random
import re
import signal
import sqlite3
import time

import pytest

from lib import proof
from lib.crew import HELD, Crew
from lib.refusing import Refusing
from lib.wait import wait_until
from test_sweep import Sweep, names, spec

# Nothing is claimed yet.
BEFORE = ("register_", "recover_")
# It gives back what it did not send, and somebody else has sent it.
SHOWS_THE_FENCE = "wire_after_mark"
LEASES_S = 3.0


def in_transaction(point):
    return point.endswith("_before_commit") or point in ("row_read", "row_judge", "row_settle")


def is_locked(database):
    """SQLite: somebody is in the middle of a write, and nobody else can begin one."""
    with contextlib.closing(sqlite3.connect(database.path, timeout=0.1, isolation_level=None)) as c:
        try:
            c.execute("BEGIN IMMEDIATE")
            c.execute("ROLLBACK")
            return False
        except sqlite3.OperationalError:
            return True


def stand_still(a, database, may_lock):
    """SIGSTOP while the loop sleeps, in its wait for events or at the fault point, and not on its way from the last test to the
    socket: looked at before and after, since a wait that is interrupted ends."""
    def sleeps():
        with open("/proc/%d/task/%d/stat" % (a.pid, a.pid), encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        with open("/proc/%d/task/%d/status" % (a.pid, a.pid), encoding="ascii") as f:
            switches = [line for line in f if line.startswith(("voluntary", "nonvoluntary"))]
        return fields[0], switches

    for _ in range(400):
        before = sleeps()
        a.signal(signal.SIGSTOP)
        wait_until(lambda: sleeps()[0] == "T", 5, "the process to stand still", pause_s=0.001)
        # Once more off the processor, for the stop itself; more often: it had woken up in between.
        if before[0] == "S" and woken(before[1], sleeps()[1]) <= 1 and (may_lock or not is_locked(database)):
            return
        a.signal(signal.SIGCONT)
        time.sleep(0.002)
    raise AssertionError("the loop never sleeps")


def woken(before, after):
    return sum(int(line.split()[1]) for line in after) - sum(int(line.split()[1]) for line in before)


class Freeze(Sweep):
    def __init__(self, make, database, sim):
        Crew.__init__(self, make, database, sim, 2, extra={"database": {"statement_timeout": "2s"}})
        self.hits = 0
        self.refusing = Refusing(database)
        self.refused_writes = 0

    def freeze(self, point):
        """One agent stands still at the point, the other one does everything, the first one wakes up."""
        a, b = self[self.hits % 2], self[1 - self.hits % 2]
        for one in self:
            if one.alive():
                one.stop()
        if point != SHOWS_THE_FENCE:
            self.trouble()
        self.insert(60)
        self.arm(a, spec(point, "stall=2500"))
        self.until_hit(a, {point})
        stand_still(a, self.database, self.database.kind != "sqlite" or in_transaction(point))
        frozen_at = time.monotonic()
        self.sim.clear_rules()
        b.start(wait=self.database.kind != "sqlite" or not in_transaction(point))
        if not (self.database.kind == "sqlite" and in_transaction(point)):
            self.wait_done(b, point)
        time.sleep(max(0.0, frozen_at + LEASES_S - time.monotonic()))   # past the leases, also with nothing to wait for
        a.signal(signal.SIGCONT)
        self.wait_ready(b)
        self.insert(10)
        self.wait_rows("status NOT IN (2, 4)", 60)
        late = len(re.findall(r" (?:settle\.stale|wire\.late) ", a.log()[a.mark:]))
        self.refused_writes += late
        print("%-24s %2d refused" % (point, late))
        return late

    def wait_done(self, b, point):
        where = "status <> 2 AND NOT (%s) AND pend_class IS NULL" % HELD
        wait_until(lambda: self.database.count("send", where) == 0, 40, "the other one to finish all (%s)" % point,
                   fail=b.dead_text)


def test_frozen_and_thawed(failpoints, database, sim, agent):
    if database.kind != "mariadb" and not proof.long_form():
        pytest.skip("the slice is done on MariaDB")
    seed = proof.seed()
    rng = random.Random(seed)
    points = [p for p in names() if not p.startswith(BEFORE)]
    if not proof.long_form():
        points = [SHOWS_THE_FENCE] + rng.sample([p for p in points if p != SHOWS_THE_FENCE], 2)
    crew = Freeze(agent, database, sim)
    late = {point: crew.freeze(point) for point in points}
    assert late[SHOWS_THE_FENCE] > 0, "nothing that came too late was refused"
    proof.record("scenario 8", database.kind, seed, freezes=len(points), refused=crew.refused_writes)
    crew.end("freeze", seed)
