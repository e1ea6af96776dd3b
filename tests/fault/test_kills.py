"""kill -9 at random moments, two to four agents on one table, and everything around them fails: nothing is lost, nobody is texted
twice, no class is wrong.

  query   the provider does not recognise a key that it had before: what is unknown is asked for by key, and sent again when the
          provider has nothing after the quiet time
  dedup   the provider recognises a key: what is unknown is sent again with the same one
  hold    the provider does not, and the route says hold: nothing is sent a second time, and `mtrelayctl unknown list` names exactly
          the rows that wait for a human

MTRELAY_KILLS: how many in this portion (the long form: 200; scripts/prove counts adds the portions up).
"""

import os
import random
import signal
import time

import pytest

from lib import proof
from lib.crew import Crew

DEDUP = {"dedup_window": "1h"}
HOLD = {"routes": [{"type": ["SMS", "LMS"], "channels": ["infobip"], "on_unknown": "hold"}]}


class Storm:
    """What may happen while the agents work.  Every second blow is a kill."""

    def __init__(self, crew, rng, servers):
        self.crew = crew
        self.rng = rng
        self.servers = servers

    def kill(self, a):
        self.crew.kill(a)

    def kill_all(self, _):
        for a in self.crew:
            self.crew.kill(a)

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
        self.crew.sim.close_connections()

    def away(self, _):
        self.crew.sim.listen(False, ms=self.rng.randrange(50, 500))

    def hang(self, _):
        self.crew.sim.rule(hang=True, times=1)

    def refuse(self, _):
        self.crew.sim.rule(status=503, accept=self.rng.random() < 0.5, times=2)

    def throttle(self, _):
        self.crew.sim.rule(status=429, retry_after=1, accept=False, times=1)

    def lose(self, _):
        self.crew.sim.rule(cut=self.rng.choice(["before_read", "mid_read", "after_read", "mid_response"]), times=2)

    def missing(self, _):
        self.crew.sim.rule(missing=self.rng.choice(["accepted", "refused"]), times=5)

    def database_dies(self, _):
        database = self.crew.database
        if database.kind == "sqlite":
            return
        database.forget()
        server = self.servers(database.kind)
        server.kill9()
        time.sleep(self.rng.uniform(0, 0.5))
        server.start()

    OTHERS = [end, end, still, still, cut, cut, away, hang, refuse, throttle, lose, lose, missing, database_dies]

    def blow(self):
        a = self.rng.choice(self.crew.agents)
        what = self.rng.choices([Storm.kill, Storm.kill_all, self.rng.choice(self.OTHERS)], [10, 1, 5])[0]
        what(self, a)


def portion(kind):
    return int(os.environ.get("MTRELAY_KILLS", "0")) or proof.size(25 if kind == "mariadb" else 6, 200)


@pytest.mark.parametrize("how", ["query", "dedup", "hold"])
def test_killed_at_random(servers, database, sim, agent, how):
    if how != "query" and database.kind != "mariadb" and not proof.long_form():
        pytest.skip("the slice is done on MariaDB")
    seed = proof.seed()
    rng = random.Random(seed)
    count = rng.randrange(2, 5)
    # Slow enough that there is always something under way.
    crew = Crew(agent, database, sim, count, channel=dict(DEDUP if how == "dedup" else {}, rate=200),
                extra=HOLD if how == "hold" else None, dedupe="forever" if how == "dedup" else "off")
    sim.config(answer_delay_ms=80)
    for n, a in enumerate(crew):
        a.write({"database": {"sessions": 3 - n % 3}})
    storm = Storm(crew, rng, servers)
    wanted = portion(database.kind)
    while crew.kills < wanted:
        # Not more than they get done: a backlog makes the end of the test long, not its kills.
        if crew.watch() < 600:
            crew.insert(rng.randrange(50, 150))
        crew.start(ready=rng.random() < 0.7)
        time.sleep(rng.uniform(0, 0.4))        # the moment is what is random, nothing is waited for
        storm.blow()
    sim.config(answer_delay_ms=0)
    held = crew.finish(120) if how != "hold" else finish_held(crew)
    crew.stop()
    print("%d agents, %d kills (%d with rows in SENDING), %d rows, %d held, longest in SENDING %.1f s" % (
        count, crew.kills, crew.at_work, crew.inserted, held, crew.worst_s))
    proof.record("kills " + how, database.kind, seed, kills=crew.kills, at_work=crew.at_work, rows=crew.inserted, held=held,
                 agents=float(count), sending_s=crew.worst_s)
    # A few kills may all come between two claims; many cannot.
    assert wanted < 50 or crew.at_work >= wanted / 10, "most kills hit an agent with empty hands"


def finish_held(crew):
    """What is HELD is not sent again by anybody but the operator."""
    crew.settle(120)
    held = crew.held()
    crew.check(held)
    rows = crew.database.rows("send")
    assert all(r["try_no"] >= 1 and r["client_key"] for r in rows), rows[:3]
    crew.decide(sorted(held)[:20])
    crew.wait_rows("status NOT IN (2, 4)", 60)
    crew.database.execute("UPDATE {p}send SET due_at = %s WHERE status = 2" % crew.database.later_sql(600))
    crew.wait_rows("status <> 4", 60)
    crew.check(crew.held())
    return len(held)
