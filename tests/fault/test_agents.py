"""Whose agent id it is, and how fast one agent follows another: several agents with nothing but the database between them."""

import shutil
import signal
import time

import pytest

from lib import proof
from lib.crew import Crew
from lib.wait import wait_until

LEASE_S = 1.2
# The defaults, as an operator has them.
DEFAULTS = {name: None for name in ("heartbeat", "agent_lease", "write_deadline", "row_lease", "care_pass", "drain", "idle_poll",
                                    "quiet_time", "unknown_look", "walk")}


def twin(agent, a, clone):
    """Another agent with the id of a; clone: with a copy of its folder, too."""
    b = agent(start=False, agent_id=a.config["agent"]["id"], extra={"times": a.config["times"]})
    if clone:
        shutil.rmtree(b.state_dir)
        shutil.copytree(a.state_dir, b.state_dir)
    return b


def test_an_agent_id_belongs_to_one(database, sim, agent):
    """The second one waits for the lease and ends with a sentence that names the holder; a dead holder's id is free behind its
    lease."""
    crew = Crew(agent, database, sim, 1)
    a = crew[0]
    a.start()
    b = twin(agent, a, False)
    b.start(wait=False)
    assert b.wait_exit(20) in (69, 75, 78)
    assert b.log_has(r"agent test-1 runs already on host \S+ as process %d with another journal; give this one another" % a.pid)
    assert a.alive()
    crew.insert(50)
    crew.wait_rows("1 = 1", 20)
    crew.kill(a)
    began = time.monotonic()
    b.start(deadline_s=20)
    waited = time.monotonic() - began
    assert b.log_has("relay.waiting .*for=lease") and waited < LEASE_S + 5, waited
    database.insert_many(50)
    crew.inserted += 50
    database.wait_empty(20, fail=b.dead_text)
    b.stop()
    crew.check()


def test_a_cloned_state_dir(database, sim, agent):
    """A copy of the whole machine is taken for a restart: the one that is taken over from notices it and ends at once."""
    crew = Crew(agent, database, sim, 1, channel={"rate": 100})
    a = crew[0]
    crew.insert(300)
    a.start()
    wait_until(lambda: database.count("result") > 20, 20, "some results", fail=a.dead_text)
    b = twin(agent, a, True)
    b.start()
    assert a.wait_exit(10) == 75
    assert a.log_has("relay.taken_over")
    # What it had under way is in its own journal only: nobody sends it again without asking.
    database.wait_empty(60, fail=b.dead_text)
    b.stop()
    crew.check()


@pytest.mark.db("mariadb", "postgresql")
def test_four_agents_share_the_work(database, sim, agent):
    """Nobody is told how many there are: one that comes takes its part, one that goes leaves it to the others."""
    crew = Crew(agent, database, sim, 4, channel={"rate": 100})
    crew.insert(proof.size(600, 4000))
    crew.start(ready=True)
    wait_until(lambda: database.count("result") > crew.inserted / 4, 60, "a quarter")
    crew[3].stop()
    crew.kill(crew[2])
    wait_until(lambda: database.count("send", "status <> 2") == 0, 120, "the other two to finish")
    # A page of reports that was lost with the third is asked for an hour before the close.
    database.execute("UPDATE {p}send SET due_at = %s WHERE status = 2" % database.later_sql(600))
    wait_until(lambda: database.count("send") == 0, 60, "the last reports")
    owners = {r["owner"]: r["n"] for r in database.query("SELECT owner, COUNT(*) AS n FROM {p}result GROUP BY owner")}
    print(owners)
    assert set(owners) == {"test-1", "test-2", "test-3", "test-4"}
    assert min(owners.values()) > crew.inserted / 40, owners
    crew[0].stop()
    crew[1].stop()
    crew.check()


@pytest.mark.skipif(not proof.long_form(), reason="waits for the default leases: the long form")
def test_the_times_of_the_defaults(failpoints, database, sim, agent):
    crew = Crew(agent, database, sim, 2, extra={"times": DEFAULTS, "limits": {"batch": 500}},
                channel={"batch": 500, "answer_timeout": "30s", "connect_timeout": "10s"})
    a, b = crew
    crew.insert(2000)
    a.start(wait=False, failpoint="answer_before_mark:kill:2")
    assert a.wait_exit(30) == -signal.SIGKILL
    sent = sim.stats()["accepted"]
    began = time.monotonic()
    a.start(wait=False)
    wait_until(lambda: sim.stats()["accepted"] > sent, 30, "the first one after a restart", fail=a.dead_text)
    restart_s = time.monotonic() - began
    # Killed for good with rows in SENDING: another one counts them as touched.
    sim.rule(hang=True, name="hang")
    crew.insert(500)
    wait_until(lambda: database.count("send", "status = 1 AND owner = 'test-1'"), 60, "rows of the first in SENDING")
    a.kill9()
    sim.clear_rules("hang")
    began = time.monotonic()
    b.start()
    wait_until(lambda: database.count("send", "status = 1 AND owner = 'test-1'") == 0, 200, "the dead one's rows out of SENDING",
               fail=b.dead_text)
    sending_s = time.monotonic() - began
    # Asked to end with answers that never come.
    sim.rule(hang=True)
    crew.insert(500)
    wait_until(lambda: database.count("send", "status = 1 AND owner = 'test-2'"), 60, "rows under way")
    began = time.monotonic()
    b.stop(deadline_s=60)
    term_s = time.monotonic() - began
    print("restart to first send %.2f s, out of SENDING %.1f s, SIGTERM %.1f s" % (restart_s, sending_s, term_s))
    proof.record("times", database.kind, 0, restart_s=restart_s, sending_s=sending_s, term_s=term_s)
    assert restart_s <= 3.0
    assert sending_s <= 165.0
    assert term_s <= 36.0
