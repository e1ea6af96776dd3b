"""Torture: the nth allocation, system call or object of a library fails, alone or with all behind it.

In each module's main job, every n (tests/torture/torture.c; of the slow ones some in the slice): no crash, no leak, nothing
that stands still, and what was reported as done is there afterwards. In the daemon with 20 messages, an n drawn at random out
of as many as a run without failures makes: it goes on or ends, and after a start without failures each message has one result
and its phone got it once.
"""

import os
import random
import signal
import subprocess
import tempfile

import pytest

from lib import paths, proof
from lib.proc import Proc
from lib.wait import WaitTimeout, wait_until

MESSAGES = 20
# In order, unavailable, own fault, try again, an operator must act, and aborted by own choice (tests/torture/fail.h).
ENDS = (0, 69, 70, 71, 75, 77, 78)
SANITIZER = ("Sanitizer", "runtime error:")
QUICK = {"times": {"quiet_time": "500ms", "unknown_look": "50ms", "care_pass": "100ms", "heartbeat": "200ms",
                   "write_deadline": "1s", "row_lease": "2500ms", "agent_lease": "1500ms", "drain": "3s", "idle_poll": "20ms"},
         "limits": {"batch": 10}}
MODULES = ("base", "conf", "control", "infobip", "journal", "odbc", "reopen", "store")
# In the slice only every so manyth n of the slow ones, from another one on each time.
STEPS = {"odbc": 8, "store": 3, "journal": 2}


@pytest.fixture(scope="session")
def programs():
    """They are built by make check; here they are made when they are not there."""
    names = ["tests/torture/torture", "tests/torture/mtrelayd"]
    if not all(os.path.exists(os.path.join(paths.BUILDDIR, n)) for n in names):
        done = subprocess.run(["make", "-s", "-C", paths.BUILDDIR] + names, capture_output=True, text=True, timeout=600)
        if done.returncode:
            pytest.fail("the torture programs could not be built: %s" % done.stderr[-2000:])
    return [paths.program(n) for n in names]


@pytest.fixture
def memory():
    """A folder in memory: syncing a real disk thousands of times shows nothing more."""
    path = tempfile.mkdtemp(prefix="mtr-torture-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    yield path
    paths.remove_dir(path)


@pytest.mark.parametrize("module", MODULES)
def test_module(programs, memory, module):
    seed = proof.seed()
    done = subprocess.run([programs[0], module], capture_output=True, text=True, errors="replace", timeout=proof.size(300, 1800),
                          env=dict(os.environ, TMPDIR=memory, ASAN_OPTIONS="detect_leaks=1", MTRELAY_SEED=str(seed),
                                   MTRELAY_TORTURE_STEP=str(proof.size(STEPS.get(module, 1), 1))))
    lines = [line.split() for line in done.stdout.splitlines() if " runs=" in line]
    runs = sum(int(line[2][5:]) for line in lines)
    ended = sum(int(line[3][6:]) for line in lines)
    proof.record("torture " + module, seed=seed, runs=runs, ended_by_choice=ended, failures=int(done.returncode != 0))
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert runs > 0


def insert(database, oracle, tag):
    for i, kind in enumerate(("SMS", "LMS", "AUTO", "SMS")):
        database.insert_many(MESSAGES // 4, lambda n, i=i: "010%04d%d%03d" % (1000 + tag, i, n), "torture %d" % tag,
                             msg_type=kind)
    oracle.snapshot()


def hurry(database):
    """What the provider handed out once and a run lost is asked for an hour before the close."""
    database.execute("UPDATE {p}send SET due_at = %s WHERE status = 2 AND due_at > %s"
                     % (database.later_sql(600), database.later_sql(3600)))


def tortured(program, a, database, order, counts=None):
    """One run of the daemon that is told to fail; its exit status."""
    env = {"MTRELAY_TORTURE": order or "", "MTRELAY_TORTURE_COUNT": counts or os.path.join(a.dir, "counts"),
           "ASAN_OPTIONS": "detect_leaks=%d" % (order is None)}
    a.proc = Proc([program, "-c", a.config_path], a.log_path, env=env)
    try:
        wait_until(lambda: not a.alive() or database.count("send") == 0, 6, "an end")
    except WaitTimeout:
        pass        # it goes on with an error; what it left is for the next one
    if a.alive():
        a.signal(signal.SIGTERM)
    status = a.wait_exit(40)
    tail = a.proc.tail(60)
    assert status in ENDS, "%s: it ended with %s:\n%s" % (order, status, tail)
    assert not any(word in tail for word in SANITIZER), "%s:\n%s" % (order, tail)
    return status


def run_out(a, database):
    def done():
        if not a.alive():
            assert a.proc is None or a.proc.popen.returncode in ENDS, a.dead_text()
            a.start(wait=False)
        hurry(database)
        return database.count("send") == 0
    try:
        wait_until(done, 40, "no row left")
    except WaitTimeout as e:
        left = database.query("SELECT status, hold_code, pend_code, try_no, COUNT(*) AS n FROM {p}send GROUP BY status, "
                              "hold_code, pend_code, try_no")
        raise AssertionError("%s\nleft: %s\n%s" % (e, left, a.proc.tail(40)))
    a.stop(expect=None)


@pytest.mark.db("sqlite") if not proof.long_form() else pytest.mark.db("sqlite", "mariadb")
def test_daemon(programs, agent, database, sim, oracle):
    seed = proof.seed()
    dice = random.Random(seed)
    sim.config(dedupe="off", report_delay_ms=10)
    a = agent(start=False, channel={"report_poll": "30ms", "log_queries_per_minute": 6000}, extra=QUICK)
    counts = os.path.join(a.dir, "baseline")
    insert(database, oracle, 0)
    assert tortured(programs[1], a, database, None, counts) == 0
    with open(counts, encoding="ascii") as f:
        most = [int(word) for word in f.read().split()[:3]]
    came = ended = 0
    rounds = proof.size(6, 150)
    done = 0
    try:
        for n in range(rounds):
            kind = n % 3
            order = "%s:%d%s:%d" % (("alloc", "system", "library")[kind], dice.randint(1, most[kind]),
                                    dice.choice(("", "", "+")), dice.randint(0, 3))
            print("%d %s" % (n, order), flush=True)
            if os.path.exists(os.path.join(a.dir, "counts")):
                os.unlink(os.path.join(a.dir, "counts"))
            insert(database, oracle, n + 1)
            status = tortured(programs[1], a, database, order)
            ended += status != 0
            with open(os.path.join(a.dir, "counts"), encoding="ascii") as f:
                came += int(f.read().split()[3])
            a.proc = None
            run_out(a, database)
            try:
                oracle.check()
            except AssertionError as e:
                raise AssertionError("%s: %s\n%s" % (order, e, a.proc.tail(60)))
            done += 1
    finally:
        proof.record("torture daemon", database.dialect, seed,
                     runs=done, failures_injected=came, ended=ended, messages=(done + 1) * MESSAGES)
    assert came > 0
