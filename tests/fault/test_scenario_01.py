"""Scenario 1: two agents on one table, kill -9 of one of them again and again until everything is sent.

Every phone gets its message exactly once and every message has one result, although the provider does not recognise a key that it
had before; no row stays longer in SENDING than a lease allows.  The long form does it with 10,000 rows, a kill every second and the
default times (but for those after which the provider is asked again, which only make the test wait).
"""

import random
import time

import pytest

from lib import proof
from lib.crew import Crew

# A dead agent's row: its lease, the agent's lease and a pass of care at most, and what the machine needs.
SENDING_MOST_S = 165.0


def times():
    if not proof.long_form():
        return {}, 8.0
    return dict({name: None for name in ("heartbeat", "agent_lease", "write_deadline", "row_lease", "care_pass", "drain",
                                         "idle_poll", "walk")}, quiet_time="3s", unknown_look="1s"), SENDING_MOST_S


def test_killed_every_second(database, sim, agent):
    if database.kind != "mariadb" and not proof.long_form():
        pytest.skip("the slice is done on MariaDB")
    seed = proof.seed()
    rng = random.Random(seed)
    pace_s = proof.size(0.3, 1.0)
    short, most_s = times()
    crew = Crew(agent, database, sim, 2, channel={"rate": proof.size(50, 40)}, extra={"times": short})
    crew.insert(proof.size(600, 10000))
    crew.start(ready=True)
    turn = time.monotonic()
    while crew.watch() > 0 and database.count("send", "NOT (status = 2 OR status = 3 OR status = 4)"):
        crew.start()
        turn += pace_s
        while time.monotonic() < turn:      # the pace of the kills is the point of the test
            crew.watch()
            time.sleep(0.02)
        crew.kill(rng.choice(crew.agents))
    held = crew.finish(120)
    crew.stop()
    print("%d kills, %d held, longest in SENDING %.1f s" % (crew.kills, held, crew.worst_s))
    proof.record("scenario 1", database.kind, seed, rows=crew.inserted, kills=crew.kills, held=held, sending_s=crew.worst_s)
    assert crew.kills >= proof.size(10, 60)
    assert crew.worst_s <= most_s
