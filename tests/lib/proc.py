"""A child process that never outlives the test run."""

import atexit
import ctypes
import os
import signal as signals
import subprocess
import time

from . import paths                     # noqa: F401 - its clean-up at exit must come after ours

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


_running = set()


@atexit.register
def _end_all():
    for proc in list(_running):
        proc.end_at_exit()


def _die_with_parent(sig):
    def setup():
        os.setpgid(0, 0)
        _libc.prctl(PR_SET_PDEATHSIG, int(sig), 0, 0, 0)
    return setup


class Proc:
    """Popen with its own process group, output to a file, and endings by pid only.

    The kernel ends the child (signal death) when the *thread* that started it ends: start from threads that stay.
    death=0 lets it live on.
    """

    def __init__(self, argv, log_path, env=None, user=None, cwd=None, append=True, pass_fds=(), death=signals.SIGKILL):
        self.argv = argv
        self.log_path = log_path
        full = dict(os.environ)
        full.update(env or {})
        kw = {}
        if user is not None and os.geteuid() == 0:
            kw = {"user": user, "group": user, "extra_groups": []}
        with open(log_path, "ab" if append else "wb") as log:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=full, cwd=cwd,
                                          preexec_fn=_die_with_parent(death), pass_fds=pass_fds, **kw)
        self.pid = self.popen.pid
        self.death = death
        if death:
            _running.add(self)

    def end_at_exit(self):
        if self.alive():
            self.signal(self.death)
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()

    def alive(self):
        if self.popen.poll() is None:
            return True
        _running.discard(self)
        return False

    def dead_text(self):
        """For wait_until(fail=): why the process is gone, or None."""
        if self.alive():
            return None
        return "%s ended with %s; its log ends:\n%s" % (self.argv[0], self.popen.returncode, self.tail())

    def tail(self, lines=30):
        try:
            with open(self.log_path, "rb") as f:
                return b"\n".join(f.read().splitlines()[-lines:]).decode("utf-8", "replace")
        except OSError:
            return ""

    def signal(self, sig):
        if self.alive():
            self.popen.send_signal(sig)

    def wait(self, deadline_s=30):
        """Exit status; raises TimeoutExpired."""
        return self.popen.wait(deadline_s)

    def stop(self, sig=signals.SIGTERM, deadline_s=30):
        """Signal, wait, and kill when it does not obey; returns the status (negative: by signal)."""
        self.signal(sig)
        try:
            return self.popen.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError("%s (pid %d) did not end within %s s of signal %d; its log ends:\n%s"
                                 % (self.argv[0], self.pid, deadline_s, sig, self.tail()))

    def kill9(self):
        self.signal(signals.SIGKILL)
        return self.popen.wait(30)

    def freeze(self):
        self.signal(signals.SIGSTOP)

    def thaw(self):
        self.signal(signals.SIGCONT)

    def rss_kib(self, peak=False):
        """Resident memory now, or the largest so far."""
        want = "VmHWM:" if peak else "VmRSS:"
        with open("/proc/%d/status" % self.pid) as f:
            for line in f:
                if line.startswith(want):
                    return int(line.split()[1])
        return 0

    def cpu_s(self):
        with open("/proc/%d/stat" % self.pid) as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def fds(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))


def now_ms():
    return int(time.time() * 1000)
