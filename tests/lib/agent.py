"""The agent under test: writes its configuration, runs mtrelayd in the foreground, speaks with mtrelayctl.

How the programs are called stands in daemon_argv() and Agent.ctl() and nowhere else in the tests.
"""

import json
import os
import re
import select
import signal
import socket
import subprocess
import time

from . import conf, paths
from .proc import Proc
from .wait import WaitTimeout, wait_until


def daemon_argv(config_path):
    """mtrelayd in the foreground."""
    return [paths.program("mtrelayd"), "-c", config_path]


class Notify:
    """Listens as a service manager would on a NOTIFY_SOCKET."""

    def __init__(self, path):
        self.path = path
        if os.path.exists(path):
            os.unlink(path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        os.chmod(path, 0o777)
        self.sock.setblocking(False)
        self.messages = []          # (monotonic time, {name: value})

    def poll(self, wait_s=0.0):
        """Takes what has come; returns all messages so far."""
        while select.select([self.sock], [], [], wait_s)[0]:
            wait_s = 0
            text = self.sock.recv(65536).decode("utf-8", "replace")
            pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
            self.messages.append((time.monotonic(), pairs))
        return self.messages

    def has(self, name, value=None):
        self.poll()
        return any(name in m and (value is None or m[name] == value) for _, m in self.messages)

    def count(self, name, value=None):
        self.poll()
        return sum(name in m and (value is None or m[name] == value) for _, m in self.messages)

    def close(self):
        self.sock.close()
        if os.path.exists(self.path):
            os.unlink(self.path)


class Agent:
    def __init__(self, folder, database, sim=None, extra=None, agent_id="test-1", channel=None, channels=None,
                 env=None):
        """folder: for everything of this agent.  sim: the provider (None: channel null).  channel: options laid over the
        simulator's channel; channels: the whole list instead.  extra: laid over the whole configuration."""
        os.makedirs(folder, exist_ok=True)
        os.makedirs(os.path.join(folder, "state"), mode=0o700, exist_ok=True)
        self.dir = folder
        self.database = database
        self.sim = sim
        if channels is None:
            channels = [sim.channel(**(channel or {}))] if sim else [dict({"name": "null", "driver": "null"},
                                                                          **(channel or {}))]
        self.config = conf.merge(conf.test_conf(folder, database.agent_config(), channels, agent_id), extra)
        self.config_path = os.path.join(folder, "mtrelay.conf")
        self.log_path = os.path.join(folder, "mtrelayd.log")
        self.env = dict(env or {})
        self.proc = None
        self.notify = None
        self.write()

    # ---- configuration ----

    def write(self, extra=None):
        """Writes the configuration again, with extra laid over it for good."""
        self.config = conf.merge(self.config, extra)
        paths.write_file(self.config_path, conf.render(self.config))

    @property
    def socket(self):
        return self.config["agent"]["control_socket"]

    @property
    def state_dir(self):
        return self.config["agent"]["state_dir"]

    # ---- life ----

    def start(self, wait=True, failpoint=None, env=None, deadline_s=30):
        """Starts mtrelayd; failpoint: "name:action[:nth]" for a build with fault points."""
        assert self.proc is None or not self.proc.alive(), "the agent runs already"
        full = dict(self.env, **(env or {}))
        if failpoint:
            full["MTRELAY_FAILPOINT"] = failpoint
        if self.notify is not None:
            self.notify.close()
        self.notify = Notify(os.path.join(self.dir, "notify.sock"))
        full["NOTIFY_SOCKET"] = self.notify.path
        self.proc = Proc(daemon_argv(self.config_path), self.log_path, env=full)
        if wait:
            self.wait_ready(deadline_s)
        return self

    def wait_ready(self, deadline_s=30):
        wait_until(lambda: self.notify.has("READY", "1"), deadline_s, "the agent to be ready", fail=self.proc.dead_text)

    @property
    def pid(self):
        return self.proc.pid

    def alive(self):
        return self.proc is not None and self.proc.alive()

    def dead_text(self):
        """For wait_until(fail=)."""
        return self.proc.dead_text() if self.proc is not None else "the agent was not started"

    def stop(self, deadline_s=45, expect=0):
        """SIGTERM; asserts a clean end."""
        if self.proc is None:
            return None
        status = self.proc.stop(signal.SIGTERM, deadline_s)
        if expect is not None:
            assert status == expect, "mtrelayd ended with %s; its log ends:\n%s" % (status, self.proc.tail())
        return status

    def kill9(self):
        return self.proc.kill9()

    def wait_exit(self, deadline_s=30):
        """Exit status, negative when a signal ended it."""
        try:
            return self.proc.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise WaitTimeout("the agent did not end within %s s; its log ends:\n%s" % (deadline_s, self.proc.tail()))

    def signal(self, sig):
        self.proc.signal(sig)

    def restart(self, **kw):
        if self.alive():
            self.stop()
        return self.start(**kw)

    def close(self):
        """Ends whatever is left, without a question."""
        if self.proc is not None and self.proc.alive():
            self.proc.signal(signal.SIGCONT)
            self.proc.kill9()
        if self.notify is not None:
            self.notify.close()
            self.notify = None

    # ---- looking at it ----

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def log_has(self, pattern):
        return re.search(pattern, self.log())

    def wait_log(self, pattern, deadline_s=15):
        return wait_until(lambda: self.log_has(pattern), deadline_s, "a line of the log like %r" % pattern,
                          fail=None if not self.alive() else self.dead_text)

    def rss_kib(self, peak=False):
        return self.proc.rss_kib(peak)

    # ---- mtrelayctl and mtrelayd -t ----

    def ctl(self, *args, check=True, input=None, env=None, deadline_s=60):
        """Runs mtrelayctl; the CompletedProcess (text).  check: asserts exit status 0."""
        argv = [paths.program("mtrelayctl"), "-c", self.config_path] + [str(a) for a in args]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=deadline_s, input=input,
                              env=dict(os.environ, **(env or {})), errors="replace")
        if check and done.returncode:
            raise AssertionError("%s: status %d\n%s%s" % (" ".join(argv), done.returncode, done.stdout, done.stderr))
        return done

    def ctl_json(self, *args, **kw):
        return json.loads(self.ctl(*args, "--json", **kw).stdout)

    def run_daemon(self, *args, deadline_s=30, env=None):
        """mtrelayd with other arguments to its end: run_daemon("-t"), run_daemon("--dump-config")."""
        return subprocess.run(daemon_argv(self.config_path) + list(args), capture_output=True, text=True,
                              timeout=deadline_s, errors="replace", env=dict(os.environ, **(env or {})))
