"""Every fault point of the program, hit by each of two agents on one table while the other one is dead or at work.

  kill          the process is gone at that point; the other agent starts, takes over, and is killed at the next point
  lost commit   the answer to the commit is lost: "unsure" (done or not, nobody knows), "lost" and "again" (not done)
  stall         the thread stands still there, longer than the row's lease and the agent's; the other agent goes on

The list is read from the program: a point that is added is swept from then on, and a point that is not hit fails the test.  Nothing
is waited for between two points, so that each one meets what the one before has left.  The long form sweeps all of it three times on
each database; the slice does each of them once on one database, another one each day, and kills at a few points on the others.
"""

import os
import random
import re
import signal
import time

import pytest

from lib import paths, proof
from lib.crew import Crew
from lib.refusing import Refusing
from lib.wait import wait_until

KINDS = ("sqlite", "mariadb", "postgresql")
ROUNDS = 3
# Hit once at a start or seldom; the others at the second time, in the middle of something.
FIRST = ("register_", "recover_", "resend_", "aside_", "care_", "report_", "row_")
STALL_MS = 3000


def names():
    text = open(os.path.join(paths.SRCDIR, "agent", "failpoint.def"), encoding="utf-8").read()
    return [n for n in re.findall(r"^FAILPOINT_DEF\((\w+),", text, re.M) if n != "self_test"]


def is_day_of(kind, offset):
    """The slice's database for one kind of sweep: another one each day."""
    return KINDS[(int(time.time() // 86400) + offset) % len(KINDS)] == kind


def only_on_its_day(database, offset):
    if not proof.long_form() and not is_day_of(database.kind, offset):
        pytest.skip("the slice is done on another database today")


def seeded():
    seed = proof.seed()
    return seed, random.Random(seed)


def spec(point, action):
    return "%s:%s:%d" % (point, action, 1 if point.startswith(FIRST) else 2)


class Sweep(Crew):
    """Two agents, everything that makes the seldom ways be gone, and rows until the point is hit."""

    def __init__(self, make, database, sim):
        super().__init__(make, database, sim, 2)
        self.hits = 0
        self.trouble()
        self.refusing = Refusing(database)
        self.refused()

    def trouble(self):
        """Requests that are lost, answers that are, items that are missing."""
        self.sim.rule(match={"nth": {"every": 7}}, cut="before_read")
        self.sim.rule(match={"nth": {"every": 5}}, cut="after_read")
        self.sim.rule(match={"nth": {"every": 6}}, status=429, retry_after=1, accept=False)
        self.sim.rule(match={"nth": {"every": 50}}, missing="refused")

    def refused(self):
        self.insert(1, recipient=lambda n: Refusing.RECIPIENT)

    def until_hit(self, a, points, deadline_s=90):
        """Feeds the agent until its log names all these points; those that were meant to kill it end it, too."""
        def hit():
            got = set(re.findall(r"^failpoint\.hit name=(\w+)", a.log()[mark:], re.M))
            if not got.issuperset(points) and a.alive():
                self.insert(5)
                if any(p.startswith("aside_") for p in points):
                    self.refused()
                    self.refusing.again()
            return got.issuperset(points)
        mark = a.mark
        wait_until(hit, deadline_s, "the points %s to be hit" % sorted(points), pause_s=0.1, fail=lambda: None if a.alive()
                   or hit() else a.dead_text())
        self.hits += len(points)

    def arm(self, a, what):
        a.mark = len(a.log())
        a.start(wait=False, failpoint=what)

    def end(self, what, seed):
        self.refusing.relent()
        held = self.finish()
        self.stop()
        print("%d points hit, %d rows, %d held" % (self.hits, self.inserted, held))
        proof.record("sweep " + what, self.database.kind, seed, hits=self.hits, rows=self.inserted, held=held)


def test_killed_at_every_point(failpoints, database, sim, agent):
    seed, rng = seeded()
    crew = Sweep(agent, database, sim)
    turn = 0
    for _ in range(proof.size(1, ROUNDS)):
        points = names() if proof.long_form() or is_day_of(database.kind, 0) else rng.sample(names(), 3)
        rng.shuffle(points)
        for point in points:
            a = crew[turn % 2]
            turn += 1
            crew.insert(30)
            crew.arm(a, spec(point, "kill"))
            crew.until_hit(a, {point})
            assert a.wait_exit(20) == -signal.SIGKILL, "%s: ended otherwise" % point
    crew.end("kill", seed)


@pytest.mark.parametrize("answer", ["unsure", "lost", "again"])
def test_a_lost_commit(failpoints, database, sim, agent, answer):
    only_on_its_day(database, {"unsure": 1, "lost": 2, "again": 0}[answer])
    seed, _ = seeded()
    where = ("_commit",) if answer == "unsure" else ("_before_commit",)
    crew = Sweep(agent, database, sim)
    for n in range(proof.size(1, ROUNDS)):
        points = [p for p in names() if p.endswith(where)]
        a, other = crew[n % 2], crew[1 - n % 2]
        for point in [p for p in points if p.startswith("register_")]:
            if a.alive():
                crew.kill(a)
            crew.arm(a, spec(point, answer))
            crew.until_hit(a, {point})
            if answer == "again":
                crew.wait_ready(a)          # asks once more by itself
            else:
                assert a.wait_exit() == 69, "the supervisor starts it again"
        if a.alive():
            crew.kill(a)
        rest = {p for p in points if not p.startswith("register_")}
        crew.insert(100)
        crew.arm(a, ",".join(spec(p, answer) for p in sorted(rest)))
        crew.until_hit(a, rest)
        if not other.alive():
            other.start(wait=False)
    crew.end("commit " + answer, seed)


def test_stalled_at_every_point(failpoints, database, sim, agent):
    """Past the row's lease and, where its heart beats in that thread, the agent's."""
    only_on_its_day(database, 1)
    seed, rng = seeded()
    crew = Sweep(agent, database, sim)
    turn = 0
    for _ in range(proof.size(1, ROUNDS)):
        points = rng.sample(names(), 5) if not proof.long_form() else names()
        rng.shuffle(points)
        for point in points:
            a = crew[turn % 2]
            turn += 1
            if a.alive():
                crew.kill(a)
            crew.insert(30)
            crew.arm(a, spec(point, "stall=%d" % STALL_MS))
            crew.until_hit(a, {point})
    time.sleep(STALL_MS / 1000)             # the last one wakes up, too
    crew.end("stall", seed)
