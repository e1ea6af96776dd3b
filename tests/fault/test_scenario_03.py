"""Scenario 3: every answer to a COMMIT is lost once, and the connection is cut at every packet.

The proxy stands between the agent and its database and knows the protocol, so that exactly that one answer is lost: the
database has committed, and the agent is not told. SQLite has no connection: there the fault points do it. The provider does not
recognise a key that it had before. The wire log is the proxy's: when the answer to the COMMIT of a claim was passed on, and
with which keys; nothing may reach the provider with a key whose claim was not yet acknowledged.
"""

import os
import random
import re
import time

import pytest

from lib import paths, proof
from lib.proxy import Proxy
from lib.wait import WaitTimeout, wait_until

QUICK = {"times": {"quiet_time": "700ms", "unknown_look": "50ms", "care_pass": "100ms", "heartbeat": "200ms",
                   "write_deadline": "1s", "row_lease": "2500ms", "agent_lease": "2s", "drain": "5s", "idle_poll": "20ms"},
         "limits": {"batch": 10}}
CHANNEL = {"batch": 7, "log_queries_per_minute": 6000, "report_poll": "30ms"}
# A key as it stands in SQL arguments.
KEY = rb"(?<![0-9a-z])[23][0-9a-hjkmnp-tv-z]{29}"
MESSAGES = 20
SERVERS = pytest.mark.db(*proof.size(["mariadb", "postgresql"], ["mariadb", "postgresql", "mariadb-odbc"]))


@pytest.fixture
def line(database):
    with Proxy(database.server.port, speaks=database.dialect, words=KEY) as p:
        yield p


def make(agent, database, sim, line):
    sim.config(dedupe="off", report_delay_ms=10)
    a = agent(start=False, channel=CHANNEL, extra=QUICK)
    a.write({"database": line.database_config(database)})
    return a


def left(database):
    return database.query("SELECT status, hold_code, try_no, COUNT(*) AS n, MIN(msg_id) AS first FROM {p}send "
                          "GROUP BY status, hold_code, try_no")


def run_out(a, database, deadline_s=40):
    """Until no row is left; an end with 69 is an ordinary one at a start: the supervisor starts it again."""
    def done():
        if not a.alive():
            assert a.proc.popen.returncode in (69, 75), a.dead_text()
            a.start(wait=False)
        # What the provider has handed out once and the agent lost is asked for an hour before the close.
        database.execute("UPDATE {p}send SET due_at = %s WHERE status = 2 AND due_at > %s"
                         % (database.later_sql(600), database.later_sql(3600)))
        return database.count("send") == 0
    try:
        wait_until(done, deadline_s, "no row left")
    except WaitTimeout as e:
        raise AssertionError("%s\nleft: %s\n%s" % (e, left(database), a.ctl("status", "--json", check=False).stdout))
    a.stop(expect=None)


def nothing_before_its_claim(line, sim):
    """The wire log: every key that the provider ever saw was acknowledged before."""
    acked = line.acked()
    truth = sim.truth()
    bad = []
    for t in truth.values():
        at = acked.get(t.id.encode())
        if at is None:
            bad.append("%s reached the provider and no claim of it was acknowledged" % t.id)
        elif t.t is not None and t.t + 1 < at:
            bad.append("%s reached the provider %.0f ms before its claim was acknowledged" % (t.id, at - t.t))
    assert not bad, "%d:\n  %s" % (len(bad), "\n  ".join(bad[:20]))
    return len(truth)


def insert(database, oracle, count=MESSAGES):
    database.insert_many(count)
    oracle.snapshot()


def check(database, oracle, total):
    oracle.check()
    results = database.query("SELECT result_class, COUNT(*) AS n FROM {p}result GROUP BY result_class")
    assert results == [{"result_class": "OK", "n": total}], results


@SERVERS
def test_every_answer_to_a_commit_is_lost_once(database, sim, agent, oracle, line):
    """Run k of 20 messages, from start to end of the process, loses the answer to its k-th COMMIT."""
    seed = proof.seed()
    a = make(agent, database, sim, line)
    total = struck = 0
    seen = []

    def one_run(k):
        nonlocal total, struck
        total += MESSAGES
        insert(database, oracle)
        line.clear()
        first = len(line.commits)
        fault = line.fault("rst" if k % 2 else "fin", commit=first + k) if k else None
        a.start(wait=False)
        run_out(a, database)
        struck += fault.fired if k else 0
        seen.append(len(line.commits) - first)
        return fault is None or fault.fired > 0

    one_run(0)
    usual = seen[0]
    places = list(range(1, usual + 4))
    if not proof.long_form():
        # The first ones are those of the start, the claims and the settles; later ones are the same again.
        some = random.Random(seed)
        places = sorted(set(places[:8]) | set(some.sample(places, 2)))
    for k in places:
        one_run(k)
    k = places[-1]
    while proof.long_form() and one_run(k + 1):
        k += 1
    check(database, oracle, total)
    keys = nothing_before_its_claim(line, sim)
    print("%d commits in a run without a fault; %d answers lost in %d runs; %d keys on the wire"
          % (usual, struck, len(seen), keys))
    proof.record("scenario 3, commits", database.kind, seed, answers_lost=struck, messages=total)
    # A run may be done with a commit less than the first one.
    assert struck >= min(6, usual - 2)


@SERVERS
def test_as_long_as_no_commit_is_acknowledged_nothing_is_sent(database, sim, agent, oracle, line):
    """Every COMMIT is done and none is acknowledged: not one byte goes to the provider. Then all goes on by itself."""
    a = make(agent, database, sim, line)
    a.start()
    fault = line.fault("rst", commit=0, times=None)
    insert(database, oracle, 60)
    wait_until(lambda: fault.fired >= proof.size(12, 60), 60, "so many lost answers", fail=a.dead_text)
    assert database.count("send", "try_no > 0") > 0, "claims were committed all the same"
    assert sim.stats().get("items_in", 0) == 0 and not sim.truth()
    line.clear()
    back = time.monotonic()
    wait_until(lambda: sim.stats().get("items_in", 0) > 0, 30, "the first message", fail=a.dead_text)
    back = time.monotonic() - back
    run_out(a, database)
    check(database, oracle, 60)
    nothing_before_its_claim(line, sim)
    print("%d answers lost, sending %.1f s after the first one that was not" % (fault.fired, back))
    proof.record("scenario 3, none", database.kind, answers_lost=fault.fired, messages=60, back_s=back)


@SERVERS
@pytest.mark.parametrize("way", ["up", "down"])
def test_the_connection_is_cut_at_every_packet(database, sim, agent, oracle, line, way):
    """Run n of 20 messages is cut at its n-th packet: before it, in its middle, or behind it."""
    seed = proof.seed()
    rng = random.Random(seed)
    a = make(agent, database, sim, line)
    total = struck = 0

    def one_run(n):
        nonlocal total, struck
        total += MESSAGES
        line.clear()
        first = line.packets[way]
        insert(database, oracle)
        fault = None
        if n:
            fault = line.fault(rng.choice(["rst", "fin"]), way=way, packet=first + n, keep=rng.choice([0, 1, 6, None]))
        a.start(wait=False)
        run_out(a, database)
        struck += fault.fired if n else 0
        return line.packets[way] - first

    usual = one_run(0)
    # Beyond the last one an idle agent goes on polling: the same packets again.
    places = range(1, usual + 1) if proof.long_form() else sorted(rng.sample(range(1, usual + 1), min(usual, 6)))
    for n in places:
        one_run(n)
    check(database, oracle, total)
    nothing_before_its_claim(line, sim)
    print("%d packets %s in a run without a fault; %d cuts" % (usual, way, struck))
    proof.record("scenario 3, packets " + way, database.kind, seed, cuts=struck, messages=total, places=usual)
    assert struck >= len(places) * 3 // 4


@SERVERS
def test_every_second_answer_to_a_commit_is_lost(database, sim, agent, oracle, line):
    """A line that is bad all the time, for both of two agents."""
    seed = proof.seed()
    rng = random.Random(seed)
    both = [make(agent, database, sim, line) for _ in range(2)]
    total = proof.size(200, 4000)
    lost = 0
    for a in both:
        a.start()
    insert(database, oracle, total)

    def lose_one():
        nonlocal lost
        fault = line.fault(rng.choice(["rst", "fin"]), commit=len(line.commits) + rng.randrange(1, 4))
        wait_until(lambda: fault.fired or len(line.commits) > fault.commit + 2, 10, "a commit")
        lost += fault.fired
        line.clear()

    until = time.monotonic() + proof.size(6, 300)
    while time.monotonic() < until and database.count("send"):
        lose_one()
    both[0].stop()
    run_out(both[1], database)
    check(database, oracle, total)
    nothing_before_its_claim(line, sim)
    print("%d answers lost under %d messages" % (lost, total))
    proof.record("scenario 3, two agents", database.kind, seed, answers_lost=lost, messages=total)
    assert lost >= 5


def points():
    text = open(os.path.join(paths.SRCDIR, "agent", "failpoint.def"), encoding="utf-8").read()
    return re.findall(r"^FAILPOINT_DEF\((\w+_(?:before|after)_commit),", text, re.M)


@pytest.mark.db("sqlite")
def test_every_commit_of_sqlite_is_in_doubt_once(failpoints, database, sim, agent, oracle):
    """The fault points say "nobody knows": before_commit it was not done, after_commit it was."""
    sim.config(dedupe="off", report_delay_ms=10)
    a = agent(start=False, channel=CHANNEL, extra=QUICK)
    total = struck = 0
    for nth in range(1, proof.size(1, 12) + 1):
        for point in points():
            insert(database, oracle)
            total += MESSAGES
            # Something is to be found out about, and something to be sent again.
            sim.rule(cut="after_read", times=1)
            sim.rule(cut="before_read", times=1)
            before = a.log().count("fault point")
            a.start(wait=False, failpoint="%s:unsure:%d" % (point, nth))
            run_out(a, database)
            struck += a.log().count("fault point") > before
    check(database, oracle, total)
    print("%d commits in doubt in %d runs" % (struck, total // MESSAGES))
    proof.record("scenario 3, commits", "sqlite", answers_lost=struck, messages=total)
    assert struck >= len(points()) * 3 // 4
