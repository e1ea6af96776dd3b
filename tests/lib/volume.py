"""Many rows through the agent, watched: how fast, with how much memory, and whether it grows.

Used by integration/test_volume.py and bench/volume.py.
"""

import re
import statistics
import time

from . import conf, paths
from .wait import WaitTimeout

# As an operator has them: the defaults, not the short times of the other tests.
CHANNEL = {"connect_timeout": "10s", "answer_timeout": "30s", "report_poll": None}
EXTRA = {"times": None, "log": {"level": "info"}}
NATIVE_MIB = 32
ODBC_MIB = 40
WARM_ROWS = 10000
SETTLE_S = 0.2


class Run:
    """What came out: seconds, rate, samples of (seconds, results, RSS in KiB), peak in KiB, CPU seconds of the agent."""

    def __init__(self):
        self.rows = 0
        self.seconds = 0.0
        self.samples = []
        self.peak_kib = 0
        self.cpu_s = 0.0
        self.stats = {}

    @property
    def rate(self):
        return self.rows / self.seconds if self.seconds else 0.0

    def rss_mib(self, fr, to):
        """Usual resident memory (median) while fr to to results were there; None without a sample."""
        found = [kib for _, n, kib in self.samples if fr <= n <= to]
        return statistics.median(found) / 1024 if found else None

    def growth_mib(self, warm=WARM_ROWS):
        """How much larger the agent usually is in the last third than in the first, behind the first rows."""
        third = (self.rows - warm) // 3
        first, last = self.rss_mib(warm, warm + third), self.rss_mib(self.rows - third, self.rows)
        return last - first if third > 0 and first and last else 0.0

    def __str__(self):
        return "%d rows in %.1f s: %.0f rows/s, agent: peak %.1f MiB, growth %.1f MiB, %.1f s CPU" % (
            self.rows, self.seconds, self.rate, self.peak_kib / 1024, self.growth_mib(), self.cpu_s)


def memory_bound_mib(database):
    """What the agent may take at most; None for a build whose sanitizers or counters multiply memory."""
    with open(paths.program("mtrelayd"), "rb") as f:
        code = f.read()
    if any(mark in code for mark in (b"__asan_init", b"__tsan_init", b"__gcov_")):
        return None
    return ODBC_MIB if database.agent_config()["driver"] == "odbc" else NATIVE_MIB


def config(channel=None, extra=None):
    """Keyword arguments for Agent(): a configuration as in production."""
    return {"channel": conf.merge(CHANNEL, channel), "extra": conf.merge(EXTRA, extra)}


def relay(agent, database, rows, deadline_s):
    """Starts the agent on a table with rows waiting rows and watches until all have a result."""
    run = Run()
    run.rows = rows
    agent.start(wait=False)
    begin = time.monotonic()
    while True:
        done = database.count("result")
        now = time.monotonic() - begin
        if agent.alive():
            run.samples.append((now, done, agent.rss_kib()))
        if done >= rows:
            break
        dead = agent.dead_text()
        if dead:
            raise WaitTimeout("with %d of %d results: %s" % (done, rows, dead))
        if now > deadline_s:
            raise WaitTimeout("%d of %d results after %.0f s, status: %s" % (
                done, rows, now, agent.ctl("status", check=False).stdout))
        time.sleep(SETTLE_S)
    run.seconds = run.samples[-1][0]
    run.peak_kib = agent.rss_kib(peak=True)
    run.cpu_s = agent.proc.cpu_s()
    run.stats = {name: int(n) for name, n in re.findall(r"^\s*(\w+)\s+(\d+)\s*$", agent.ctl("stats").stdout, re.M)}
    return run
