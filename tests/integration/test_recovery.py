"""Killed anywhere, started again: nothing is lost, nobody is texted twice, no class is wrong."""

import os
import random
import re
import time

import pytest

from lib import paths
from lib.wait import wait_until

ROWS = 120
# A kill leaves questions that the agent asks at its pace; the tests make it a quick one.
QUICK = {"times": {"quiet_time": "700ms", "unknown_look": "100ms", "care_pass": "100ms", "row_lease": "14s",
                   "write_deadline": "500ms"}}


def names():
    text = open(os.path.join(paths.SRCDIR, "agent", "failpoint.def"), encoding="utf-8").read()
    return [n for n in re.findall(r"^FAILPOINT_DEF\((\w+),", text, re.M) if n != "self_test"]


def run_out(a, database, sim, oracle, deadline_s=60):
    """Starts the agent again until everything is done, then asks the oracle."""
    database.wait_empty(deadline_s, fail=a.dead_text)
    a.stop()
    oracle.check()
    results = database.count("result")
    assert results == len(oracle.inserted), "%d results for %d messages" % (results, len(oracle.inserted))
    assert database.count("result", "result_class = 'UNKNOWN'") == 0, "the provider could be asked about each of them"


@pytest.mark.parametrize("point", names())
def test_killed_at(failpoints, database, sim, agent, oracle, point):
    a = agent(start=False, extra=QUICK, channel={"batch": 20})
    database.insert_many(ROWS)
    oracle.snapshot()
    a.start(wait=False, failpoint="%s:kill:2" % point)
    try:
        wait_until(lambda: not a.alive() or database.count("send") == 0, 40, "the kill at %s" % point)
    finally:
        hit = not a.alive()
        a.kill9()
    a.start()
    run_out(a, database, sim, oracle)
    if not hit:
        pytest.skip("%s is not on the way of this job; nothing was lost" % point)


@pytest.mark.parametrize("answer", ["unsure", "lost", "again"])
@pytest.mark.parametrize("point", [n for n in names() if n.endswith("_commit")])
def test_an_answer_of_the_database_lost_at(failpoints, database, sim, agent, oracle, point, answer):
    a = agent(start=False, extra=QUICK, channel={"batch": 20})
    database.insert_many(ROWS)
    oracle.snapshot()
    a.start(failpoint="%s:%s:2" % (point, answer))
    run_out(a, database, sim, oracle)


def kills(kind):
    return int(os.environ.get("MTRELAY_KILLS", "0")) or (25 if kind == "mariadb" else 6)


def test_killed_at_random(database, sim, agent, oracle):
    """The seed is printed; MTRELAY_KILLS makes it long."""
    seed = int(os.environ.get("MTRELAY_SEED", "0")) or random.randrange(1 << 30)
    rng = random.Random(seed)
    print("seed %d" % seed)
    a = agent(start=False, extra=QUICK, channel={"batch": 20})
    sim.config(answer_delay_ms=5, report_delay_ms=20)
    rounds = kills(database.kind)
    for _ in range(rounds):
        database.insert_many(60)
        oracle.snapshot()
        a.start()
        time.sleep(rng.uniform(0, 0.25))        # the moment is what is random, nothing is waited for
        a.kill9()
    a.start()
    run_out(a, database, sim, oracle, 120)


def test_a_missing_journal_counts_everything_as_touched(database, sim, agent, oracle):
    import shutil
    a = agent(start=False, extra=QUICK)
    database.insert_many(50)
    oracle.snapshot()
    sim.rule(hang=True)
    a.start()
    wait_until(lambda: database.count("send", "status = 1") > 0, 20, "claimed rows", fail=a.dead_text)
    a.kill9()
    shutil.rmtree(a.state_dir)
    os.mkdir(a.state_dir, 0o700)
    sim.clear_rules()
    sim.close_connections()
    a.start()
    run_out(a, database, sim, oracle)


def test_the_database_goes_away_for_a_while(servers, database, sim, agent, oracle):
    if database.kind == "sqlite":
        pytest.skip("SQLite has no server that could go away")
    a = agent(start=False, extra=QUICK)
    database.insert_many(400)
    oracle.snapshot()
    sim.config(answer_delay_ms=50)
    a.start()
    wait_until(lambda: database.count("result") > 0, 20, "a first result", fail=a.dead_text)
    database.forget()
    server = servers(database.kind)
    server.kill9()
    a.wait_log("class=(LOST|UNSURE)")
    server.start()
    run_out(a, database, sim, oracle, 90)
