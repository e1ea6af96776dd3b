"""The process misbehaves, or the host does it to the process: signals, memory, descriptors, threads that do not come back, a bad file.

(Rows that end the process: test_poison.py. Disks that are full: test_scenario_14.py. Zombies and leases: the scenarios of several
agents.)  After each of them the oracle looks at every message.
"""

import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

from lib import paths, proof
from lib.agent import daemon_argv
from lib.proc import Proc
from lib.proxy import Proxy
from lib.wait import wait_until

pytestmark = [pytest.mark.db(*proof.size(("mariadb",), ("sqlite", "mariadb", "postgresql")))]

TIMES = {"unknown_look": "100ms", "quiet_time": "700ms", "care_pass": "100ms", "row_lease": "5s"}


def run_out(one, database, oracle, deadline_s=60):
    wait_until(lambda: database.count("send") == 0, deadline_s, "the end of all rows", fail=one.dead_text)
    one.stop()
    return oracle.check()


def is_sanitized():
    """The sanitizer maps terabytes and keeps what was freed: limits of memory mean nothing to it."""
    with open(paths.program("mtrelayd"), "rb") as f:
        return b"__asan_init" in f.read()


# ---- TERM ------------------------------------------------------------------------------------------------------------


DRAIN_S = proof.size(4, 33)     # the default
ENDS = ["idle", "load", "provider_hangs", "database_refuses", "database_hangs", "waiting_for_database", "hanging_at_start", "paused"]


@pytest.mark.db("mariadb")
@pytest.mark.parametrize("state", ENDS)
def test_term_ends_it_in_every_state(database, sim, agent, oracle, state):
    """Status 0 within times.drain and two seconds; what was under way is resolved by the next start."""
    at_start = state in ("waiting_for_database", "hanging_at_start")
    with Proxy(database.server.port, speaks="mysql") as proxy:
        one = agent(start=False, channel={"answer_timeout": proof.size("20s", "60s"), "batch": 10},
                    extra={"times": dict(TIMES, drain="%ds" % DRAIN_S, row_lease=proof.size("30s", "120s")),
                           "database": {"port": proxy.port, "statement_timeout": "4s", "connect_timeout": "2s"}})
        if state == "waiting_for_database":
            proxy.listen(False)
        if state == "hanging_at_start":
            proxy.fault("stall", packet=30)
        if state == "provider_hangs":
            sim.rule(hang=True, times=3)
        if state != "idle":
            database.insert_many(2000 if state == "load" else 60)
        oracle.snapshot()
        one.start(wait=not at_start)
        if state == "waiting_for_database":
            one.wait_log("relay.waiting for=database")
        elif state == "hanging_at_start":
            wait_until(lambda: proxy.faults[0].fired, 20, "a database that stands still")
        elif state == "idle":
            wait_until(lambda: one.log_has("channel.state .*UP"), 20, "the channel")
        elif state == "paused":
            one.ctl("pause")
        else:
            wait_until(lambda: sim.stats()["requests_send"] > 0, 20, "a request", fail=one.dead_text)
        if state == "database_refuses":
            proxy.listen(False)
            proxy.cut()
        elif state == "database_hangs":
            proxy.fault("stall", packet=0, times=None)
            one.proc.freeze()
            one.proc.thaw()
        began = time.monotonic()
        one.signal(signal.SIGTERM)
        assert one.wait_exit(40) == 0
        took = time.monotonic() - began
        print("%s: %.2f s" % (state, took))
        proof.record("term " + state, database.kind, seconds=took)
        # At a start nothing is under way, and a call that hangs ends by its own time.
        assert took < (8 if state == "hanging_at_start" else DRAIN_S + 2.5)
    sim.clear_rules()
    one.write({"database": {"port": database.server.port}})
    one.start()
    run_out(one, database, oracle)


def test_a_second_term_ends_it_at_once_and_a_third_changes_nothing(database, sim, agent, oracle):
    sim.rule(hang=True, times=3)
    one = agent(start=False, channel={"answer_timeout": "20s", "batch": 10},
                extra={"times": dict(TIMES, drain="20s", row_lease="30s")})
    database.insert_many(60)
    oracle.snapshot()
    one.start()
    wait_until(lambda: sim.stats()["requests_send"] > 0, 20, "a request", fail=one.dead_text)
    one.signal(signal.SIGTERM)
    one.wait_log("relay.stop .*draining")
    began = time.monotonic()
    for _ in range(20):
        one.signal(signal.SIGTERM)
        time.sleep(0.005)
    assert one.wait_exit(20) == 0
    assert time.monotonic() - began < 5
    sim.clear_rules()
    one.start()
    run_out(one, database, oracle)


@pytest.mark.parametrize("supervised", [False, True])
def test_term_at_any_moment_of_the_start_is_an_end_in_order(database, sim, agent, oracle, supervised):
    """Before main() nobody can take it: then the signal ends it, which a service manager takes for the same."""
    seed = proof.seed()
    rng = random.Random(seed)
    one = agent(start=False, extra={"times": TIMES})
    database.insert_many(50)
    oracle.snapshot()
    argv = daemon_argv(one.config_path) + (["--supervise"] if supervised else [])
    statuses = []
    for n in range(proof.size(15, 300)):
        proc = Proc(argv, one.log_path)
        time.sleep(rng.uniform(0, 0.025) if n % 3 else rng.uniform(0, 0.4))
        proc.signal(signal.SIGTERM)
        statuses.append(proc.wait(40))
    assert set(statuses) <= {0, -signal.SIGTERM}, statuses
    early = statuses.count(-signal.SIGTERM)
    print("ended before main(): %d of %d" % (early, len(statuses)))
    proof.record("term at start", database.kind, seed, starts=len(statuses), before_main=early)
    assert not one.log_has("cannot start")
    one.start()
    run_out(one, database, oracle)


# ---- memory and descriptors ------------------------------------------------------------------------------------------


def test_memory_runs_out(database, sim, agent, oracle):
    """Whatever ends it, the next one goes on; no message is refused for want of memory."""
    if is_sanitized():
        pytest.skip("an address sanitizer needs all the address space there is")
    seed = proof.seed()
    rng = random.Random(seed)
    sim.config(answer_delay_ms=20)
    one = agent(start=False, extra={"times": TIMES, "limits": {"batch": 200}})
    ended = 0
    statuses = []
    for _ in range(proof.size(3, 30)):
        database.insert_many(500, body="long " + "m" * 1500, msg_type="LMS")
        oracle.snapshot()
        one.start(wait=False)
        wait_until(lambda: not one.alive() or one.notify.has("READY", "1"), 30, "the start")
        if one.alive():
            with open("/proc/%d/status" % one.pid, encoding="ascii") as f:
                size = int(re.search(r"VmData:\s+(\d+)", f.read()).group(1)) << 10
            room = rng.choice([0, rng.randrange(1 << 20), rng.randrange(8 << 20)])
            resource.prlimit(one.pid, resource.RLIMIT_DATA, (size + room,) * 2)
        try:
            wait_until(lambda: not one.alive() or database.count("send") == 0, 4, "an end", pause_s=0.1)
        except AssertionError:
            pass                # it lives with so little
        if one.alive():
            one.kill9()
        else:
            ended += 1
            statuses.append(one.proc.popen.returncode)
        print("room %d KiB: status %s, %d left" % (room >> 10, one.proc.popen.returncode, database.count("send")))
    proof.record("memory", database.kind, seed, limits=proof.size(3, 30), ended=ended)
    assert not [s for s in statuses if s in (78, -signal.SIGSEGV, -signal.SIGBUS)], statuses
    one.start()
    tally = run_out(one, database, oracle, 120)
    assert tally["FAIL"] == 0 and tally["UNKNOWN"] == 0, tally


def test_descriptors_run_out(database, sim, agent, oracle):
    """No headroom: nothing is lost and the processor rests; with room again it goes on by itself."""
    one = agent(start=False, channel={"connections": 8, "batch": 5}, extra={"times": TIMES, "database": {"sessions": 3}})
    one.start()
    database.insert_many(40)
    wait_until(lambda: database.count("result") == 40, 30, "the first forty", fail=one.dead_text)
    sim.close_connections()
    full = one.proc.fds()
    hard = resource.prlimit(one.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (max(full - 8, 12), hard))
    sim.close_connections()
    cpu = one.proc.cpu_s()
    began = time.monotonic()
    database.insert_many(100)
    callers = []
    for _ in range(10):
        callers.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        callers[-1].setblocking(False)
        try:
            callers[-1].connect(one.socket)     # it waits, and cannot be accepted
        except BlockingIOError:
            pass                                # behind those that wait
        time.sleep(0.3)
    used = (one.proc.cpu_s() - cpu) / (time.monotonic() - began)
    print("processor: %.0f %%" % (100 * used))
    assert one.alive(), one.dead_text()
    for caller in callers:
        caller.close()
    assert used < (0.8 if is_sanitized() else 0.4), "busy while it can do nothing"
    assert database.query("SELECT COUNT(*) AS n FROM {p}send WHERE status = 3")[0]["n"] == 0
    resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (hard, hard))
    wait_until(lambda: database.count("result") == 140, 40, "the rest, by itself", fail=one.dead_text)
    oracle.expect(*[r["msg_id"] for r in database.rows("result")])
    run_out(one, database, oracle)


# ---- threads that do not come back -----------------------------------------------------------------------------------


WEDGED = {"times": dict(TIMES, stuck_limit="1s"), "database": {"statement_timeout": "500ms"}}


class Supervised:
    """mtrelayd --supervise on the configuration of an agent."""

    def __init__(self, one, failpoint):
        self.one = one
        self.proc = Proc(daemon_argv(one.config_path) + ["--supervise"], one.log_path, env={"MTRELAY_FAILPOINT": failpoint})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.proc.alive():
            self.proc.stop(deadline_s=40)


@pytest.mark.parametrize("point,how", [("row_judge:stall=600000", "relay.stuck"), ("row_encode:stall=600000", "supervise.stuck")])
def test_the_supervisor_goes_on_without_the_row_that_holds_a_thread(failpoints, database, sim, agent, oracle, point, how):
    """A lane that a row keeps is seen by the loop, a loop that a row keeps by the supervisor; three times, then it goes alone."""
    database.insert_many(30)
    stuck = database.insert(body="a P01SON")
    oracle.snapshot()
    one = agent(start=False, extra=WEDGED)
    with Supervised(one, point + "@P01SON") as s:
        wait_until(lambda: database.count("send") == 0, 60, "the end of all rows", fail=s.proc.dead_text)
        assert s.proc.stop(deadline_s=40) == 0
    assert [r["msg_id"] for r in database.rows("result", "result_code = '9003'")] == [stuck]
    assert len(re.findall(how, one.log())) == 3
    assert len(re.findall("supervise.start", one.log())) == 4
    oracle.check()


def test_a_wedged_loop_starves_the_watchdog(failpoints, database, sim, agent, oracle):
    """As a service manager would: no sign for the watchdog's time, ABRT, a new start."""
    stuck = database.insert(body="a P01SON")
    database.insert_many(30)
    oracle.snapshot()
    one = agent(start=False, extra=WEDGED, env={"WATCHDOG_USEC": "1200000"})
    rounds = 0
    while database.count("send") > 0:
        rounds += 1
        assert rounds <= 4, "the row holds the loop for ever"
        one.start(failpoint="row_encode:stall=600000@P01SON")
        last, fed = time.monotonic(), 0
        while time.monotonic() - last < 1.5 and database.count("send") > 0:
            if one.notify.count("WATCHDOG", "1") > fed:
                last, fed = time.monotonic(), one.notify.count("WATCHDOG", "1")
            time.sleep(0.05)
        if database.count("send") == 0:
            break
        one.signal(signal.SIGABRT)
        assert one.wait_exit(10) == -signal.SIGABRT
    one.stop()
    assert rounds == 4
    assert database.result(stuck)["result_code"] == "9003"
    oracle.check()


# ---- a bad file ------------------------------------------------------------------------------------------------------


def mutate(rng, text):
    """One damage that an editor's slip makes."""
    lines = text.splitlines(keepends=True)
    i = rng.randrange(len(lines))
    kind = rng.randrange(8)
    if kind == 0:
        del lines[i]
    elif kind == 1:
        lines.insert(i, rng.choice(["}", "{", "heartbeat = ;\n", "agent: { };\n", "@include \"none\"\n", "\"", "a.b = 3;\n"]))
    elif kind == 2:
        at = rng.randrange(len(lines[i]))
        lines[i] = lines[i][:at] + lines[i][at + 1:]
    elif kind == 3:
        at = rng.randrange(len(lines[i]))
        lines[i] = lines[i][:at] + chr(rng.randrange(1, 256)) + lines[i][at:]
    elif kind == 4:
        lines[i] = re.sub(r"= .*;", "= %s;" % rng.choice(["-1", "1e99", '"-5s"', "true", "[ ]", "( )", "{ }", '"x"', "99999999999L"]),
                          lines[i])
    elif kind == 5:
        lines[i] = re.sub(r"(\w+) =", r"\1x =", lines[i], count=1)
    elif kind == 6:
        del lines[i:]
    else:
        lines[i] = lines[i] * 2
    return "".join(lines)


def test_reload_of_a_damaged_file_keeps_the_old_one(database, sim, agent, oracle):
    seed = proof.seed()
    rng = random.Random(seed)
    # libconfig leaks the text of a string without its end.
    no_leaks = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    one = agent(extra={"times": TIMES}, env=no_leaks)
    with open(one.config_path, encoding="utf-8") as f:
        good = f.read()
    good_path = one.config_path + ".good"
    shutil.copyfile(one.config_path, good_path)
    # What is not there at all stands in no line.
    place = re.compile(re.escape(one.config_path) + r"(:\d+: .|: \S+ (is missing|must be set))")
    rounds = proof.size(30, 500)
    refused = 0
    for n in range(rounds):
        text = mutate(rng, good)
        with open(one.config_path, "w", encoding="latin-1") as f:
            f.write(text)
        said = one.run_daemon("-t", env=no_leaks)
        # By a copy of the good file: mtrelayctl itself cannot read the damaged one.
        done = subprocess.run([paths.program("mtrelayctl"), "-c", good_path, "reload"], capture_output=True, text=True,
                              timeout=30, check=False, errors="replace")
        assert said.returncode in (0, 78), "mtrelayd -t: %d\n%s\n%s" % (said.returncode, said.stderr, text)
        if said.returncode == 78:
            refused += 1
            assert done.returncode != 0, "taken although mtrelayd -t says: %s\n%s" % (said.stderr, text)
            if "agent.user" in said.stderr:
                continue        # what only a start looks at, before anything else
            for line in said.stderr.splitlines():
                assert place.match(line), line
            assert place.search(done.stderr), (done.stderr, said.stderr)
        elif done.returncode:
            assert "need a restart" in done.stderr, (done.stderr, text)
        else:                   # right by chance, and another configuration: it may even have lost its route
            one.write()
            one.ctl("reload")
        assert one.alive()
        if n % 10 == 9:
            msg = database.insert()
            oracle.expect(msg)
            database.wait_result(msg, fail=one.dead_text)
    proof.record("bad reload", database.kind, seed, files=rounds, refused=refused)
    assert refused > rounds / 3
    one.write()
    one.ctl("reload")
    oracle.expect(database.insert())
    run_out(one, database, oracle)


# ---- the log ---------------------------------------------------------------------------------------------------------


LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z (?:ERROR|WARN|INFO|DEBUG) \S+ [a-z_.]+((?: [a-z_]+=(?:\"(?:[^\"\\]|\\.)*\"|[^\" ]*))*) ?")


def test_a_storm_does_not_flood_the_log_and_each_line_parses(database, sim, agent, oracle):
    """Provider and database refuse at every turn: lines are few, and each is an event with facts."""
    sim.rule(status=503, accept=False, body='{"error": "say \\"no\\" \\\\ and\\nagain"}')
    with Proxy(database.server.port) as proxy:
        one = agent(extra={"times": TIMES, "database": {"port": proxy.port}, "log": {"level": "info"}})
        database.insert_many(2000)
        oracle.snapshot()
        end = time.monotonic() + proof.size(5, 60)
        while time.monotonic() < end:
            proxy.cut()
            time.sleep(0.05)
        sim.clear_rules()
        one.write({"database": {"port": proxy.port, "heartbeat": "5"}})
        one.signal(signal.SIGHUP)
        one.wait_log("relay.reload done=no")
        lines = one.log().splitlines()
        bad = [line for line in lines if not LINE.fullmatch(line)]
        print("%d lines" % len(lines))
        assert not bad, bad[:3]
        assert len(lines) < 400, one.proc.tail(60)
        run_out(one, database, oracle)
