"""Scenario 14, the disk part: the disk of the journal or of the log is full, then space returns.

Sending pauses before harm, the alarm is in mt_agent, nothing is lost or unknown, and it resumes alone.  Slice: 2 rounds a disk, long
form: 25 at random fillings, and every database.
"""

import os
import random
import subprocess
import time

import pytest

from lib import proof
from lib.wait import wait_until

pytestmark = pytest.mark.db(*proof.size(("mariadb",), ("sqlite", "mariadb", "postgresql")))

ROUNDS = proof.size(2, 25)
ROWS = 400
TIMES = {"unknown_look": "100ms", "quiet_time": "700ms", "care_pass": "100ms"}
LIMITS = {"journal_segment": "64KiB", "journal_keep": 1, "batch": 50}


class Disk:
    """A small file system of its own."""

    def __init__(self, path, size_kib):
        self.path = path
        os.makedirs(path, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dk,mode=0700" % size_kib, "tmpfs", path],
                              capture_output=True, text=True, check=False) if os.geteuid() == 0 else None
        if done is None or done.returncode:
            pytest.skip("a small disk needs root and the right to mount: %s" % (done.stderr.strip() if done else "not root"))
        self.ballast = os.path.join(path, "ballast")

    def fill(self, leave=0):
        """Until not a byte more goes, then gives `leave` bytes back."""
        with open(self.ballast, "ab", buffering=0) as f:
            try:
                while True:
                    f.write(b"\0" * 4096)
            except OSError:
                pass
            f.truncate(max(os.fstat(f.fileno()).st_size - leave, 0))

    def free(self):
        os.unlink(self.ballast)

    def close(self):
        subprocess.run(["umount", "-l", self.path], check=False)


@pytest.fixture
def disk():
    made = []

    def make(path, size_kib):
        made.append(Disk(path, size_kib))
        return made[-1]

    yield make
    for one in made:
        one.close()


def statuses(database):
    return {r["status"]: r["n"] for r in database.query("SELECT status, COUNT(*) AS n FROM {p}send GROUP BY status")}


def handed_over(sim):
    return sim.stats()["requests_send"]


def wait_paused(database, sim, one):
    """Rows wait and nothing goes, for a second and a half."""
    last = [(-1, 0.0)]

    def still():
        now = handed_over(sim)
        if now != last[0][0]:
            last[0] = (now, time.monotonic())
        return time.monotonic() - last[0][1] > 1.5 and statuses(database).get(0, 0) > 0

    wait_until(still, 40, "a pause", fail=one.dead_text)


def last_error(database):
    return database.query("SELECT last_error FROM {p}agent")[0]["last_error"] or ""


def test_the_disk_of_the_journal_is_full(database, sim, agent, oracle, disk, folder):
    seed = proof.seed()
    rng = random.Random(seed)
    state = disk(os.path.join(folder, "a1", "state"), 1024)
    one = agent(start=False, extra={"times": TIMES, "limits": LIMITS}, channel={"batch": 20})
    one.start()
    for n in range(ROUNDS):
        state.fill(rng.choice([0, 0, rng.randrange(200 << 10)]) if n else 0)
        cpu, began = one.proc.cpu_s(), time.monotonic()
        database.insert_many(ROWS)
        oracle.expect(*[r["msg_id"] for r in database.query("SELECT msg_id FROM {p}send")])
        if n == 0 or os.statvfs(state.path).f_bavail == 0:
            wait_paused(database, sim, one)
            assert not {3, 4} & statuses(database).keys(), statuses(database)
            wait_until(lambda: "journal" in last_error(database), 10, "the alarm in mt_agent")
            assert "No space left" in last_error(database)
            used = (one.proc.cpu_s() - cpu) / (time.monotonic() - began)
            assert used < 0.6, "busy while it can do nothing: %.0f %%" % (100 * used)
        state.free()
        wait_until(lambda: database.count("send") == 0, 40, "all of them, alone", fail=one.dead_text)
    one.stop()
    assert oracle.check() == {"OK": ROUNDS * ROWS}
    proof.record("scenario 14 journal", database.kind, seed, rounds=ROUNDS, messages=ROUNDS * ROWS)


def test_it_starts_on_a_full_disk_once_there_is_room(database, sim, agent, oracle, disk, folder):
    """A start without room for a journal ends with a status that is tried again; killed with rows under way it knows them still."""
    state = disk(os.path.join(folder, "a1", "state"), 1024)
    one = agent(start=False, extra={"times": TIMES, "limits": LIMITS}, channel={"batch": 20})
    database.insert_many(ROWS)
    oracle.snapshot()
    sim.config(answer_delay_ms=100)
    sim.pause_reports()         # a page that dies with the process is asked for an hour before the close only
    one.start()
    wait_until(lambda: handed_over(sim) > 3, 20, "requests", fail=one.dead_text)
    state.fill()
    one.kill9()
    sim.config(answer_delay_ms=0)
    sim.resume_reports()
    one.start(wait=False)
    status = one.wait_exit(30)
    assert status not in (0, 78), "nobody would start it again"
    assert "No space left" in one.log()
    state.free()
    one.start()
    wait_until(lambda: database.count("send") == 0, 60, "all of them", fail=one.dead_text)
    one.stop()
    oracle.check()


def test_the_disk_of_the_log_is_full(database, sim, agent, oracle, disk, folder):
    """Nobody reads it then: messages go on, the number of lost lines is told, and the log goes on with the space."""
    logs = disk(os.path.join(folder, "logs"), 64)
    path = os.path.join(logs.path, "mtrelayd.log")
    one = agent(start=False, extra={"times": TIMES, "log": {"file": path, "level": "debug"}})
    one.start()
    for _ in range(ROUNDS):
        logs.fill()
        with open(path, "ab") as f:             # its last page has room yet
            f.write(b"-" * (-f.tell() % 4096))
        size = os.path.getsize(path)
        database.insert_many(ROWS)
        oracle.expect(*[r["msg_id"] for r in database.query("SELECT msg_id FROM {p}send")])
        one.ctl("pause")
        one.ctl("resume")
        sim.close_connections()
        wait_until(lambda: database.count("send") == 0, 40, "all of them", fail=one.dead_text)
        one.ctl("log", "debug")
        assert os.path.getsize(path) == size
        logs.free()
        one.ctl("pause", "infobip")
        one.ctl("resume", "infobip")
    assert one.ctl_json("stats")["stats"]["log_write_errors"] > 0
    one.stop()
    with open(path, encoding="utf-8", errors="replace") as f:
        assert "relay.stop" in f.read()
    oracle.check()


def test_something_stands_in_the_way_of_the_journal(database, sim, agent, oracle):
    """No new segment can be made although there is room: the same pause, the same alarm."""
    one = agent(start=False, extra={"times": TIMES, "limits": LIMITS}, channel={"batch": 20})
    one.start()
    obstacle = os.path.join(one.state_dir, "journal.new")
    os.mkdir(obstacle)
    database.insert_many(ROWS)
    oracle.expect(*[r["msg_id"] for r in database.query("SELECT msg_id FROM {p}send")])
    wait_paused(database, sim, one)
    assert not {3, 4} & statuses(database).keys(), statuses(database)
    wait_until(lambda: "cannot create a journal segment" in last_error(database), 10, "the alarm in mt_agent")
    os.rmdir(obstacle)
    wait_until(lambda: database.count("send") == 0, 40, "all of them, alone", fail=one.dead_text)
    one.stop()
    assert oracle.check() == {"OK": ROWS}
