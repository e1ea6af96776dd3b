"""Two agents behind PgBouncer in transaction mode: each transaction may run in another session of the server.

The agent relies on nothing that a session keeps: no statements prepared on the server, no locks beyond a transaction; the settings
that decide how times read are tracked by the pool. The database's own defaults are as wrong as they can be here.
"""

import os
import random
import time

import pytest

from lib import proof
from lib.crew import Crew
from lib.db import Unavailable, find
from lib.pgbouncer import PgBouncer

pytestmark = pytest.mark.db("postgresql")
SESSIONS = 3
BODIES = ["it's \\ \"so\" \\' '' ? :1 $1 %s %d {d '2020-01-01'} -- /* */;",
          "한글 메시지 \U0001f600 ₩1,000", "\\x41 E'\\n' \t line\r\nline", "x" * 80]


@pytest.fixture
def pool(database):
    try:
        find("pgbouncer")
    except Unavailable as e:
        if os.environ.get("MTRELAY_TEST_STRICT"):
            raise
        pytest.skip(str(e))
    with PgBouncer(database.server, size=SESSIONS) as one:
        database.execute("ALTER DATABASE \"%s\" SET timezone = 'America/New_York'" % database.name)
        database.execute("ALTER DATABASE \"%s\" SET datestyle = 'SQL, DMY'" % database.name)
        database.forget()
        yield one


def behind(pool, database, a):
    a.write({"database": pool.config(database)})
    return a


def test_texts_and_times_arrive_as_they_are(pool, database, sim, agent, oracle):
    a = behind(pool, database, agent(start=False))
    for n, body in enumerate(BODIES):
        database.insert("0101000000%d" % n, body)
    late = database.insert("01010000009", "not before", send_at=None)
    database.execute("UPDATE {p}send SET send_at = %s WHERE msg_id = ?" % database.later_sql(1), (late,))
    oracle.snapshot()
    a.start()
    database.wait_empty(20, fail=a.dead_text)
    oracle.check()
    told = {t.to[-1]: t.text for t in sim.truth().values()}
    assert [told[str(n)] for n in range(len(BODIES))] == BODIES
    row = database.result(late)
    assert row["created_at"] < row["send_at"] <= row["sent_at"] <= row["done_at"], row
    assert a.ctl("check", check=False).returncode in (0, 1)
    a.stop()


def test_killed_and_the_pool_with_them(pool, database, sim, agent):
    seed = proof.seed()
    rng = random.Random(seed)
    crew = Crew(agent, database, sim, 2, channel={"rate": 200})
    for a in crew:
        behind(pool, database, a)
    sim.config(answer_delay_ms=50)
    pools = cuts = 0
    wanted = proof.size(6, 100)
    while crew.kills < wanted:
        if crew.watch() < 400:
            crew.insert(100)
        crew.start(ready=rng.random() < 0.6)
        time.sleep(rng.uniform(0, 0.4))        # the moment is what is random, nothing is waited for
        if rng.random() < 0.2:
            pool.kill9()
            pool.start()
            cuts += 1
        else:
            crew.kill(rng.choice(crew.agents))
        _, _, used = served(pool, database)
        pools = max(pools, used)
    crew.start(ready=True)
    clients, idle, used = served(pool, database)
    assert clients + idle > SESSIONS >= used, "more sessions of agents than of the server"
    held = crew.finish(120)
    crew.stop()
    print("%d kills, %d of the pool, %d rows, %d held" % (crew.kills, cuts, crew.inserted, held))
    proof.record("pgbouncer", database.kind, seed, kills=crew.kills, pool_kills=cuts, rows=crew.inserted, held=held)


def served(pool, database):
    """Clients that are served, clients that wait or are idle, sessions with the server."""
    for row in pool.admin("SHOW POOLS"):
        if row[0] == database.name:
            return row[2], row[3], sum(row[6:11])
    return 0, 0, 0
