"""The daemon's outer shell: configuration check, signals, service manager, init script, users, unit and manuals."""

import os
import pwd
import re
import shutil
import signal
import subprocess

import pytest

from lib import paths
from lib.agent import Agent
from lib.wait import wait_until

pytestmark = [pytest.mark.db("sqlite")]

INIT = os.path.join(paths.BUILDDIR, "etc", "init.d", "mtrelayd")
UNIT = os.path.join(paths.BUILDDIR, "etc", "mtrelayd.service")


def run(argv, deadline_s=60, **kw):
    return subprocess.run(argv, capture_output=True, text=True, timeout=deadline_s, errors="replace", **kw)


def need_root():
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")


def give_away(path, user="nobody"):
    """The folder and all in it to another user."""
    pw = pwd.getpwnam(user)
    os.chmod(path, 0o755)
    for top, _, files in os.walk(path):
        os.chown(top, pw.pw_uid, pw.pw_gid)
        for name in files:
            os.chown(os.path.join(top, name), pw.pw_uid, pw.pw_gid)


def insert(database, n=1):
    for _ in range(n):
        database.execute("INSERT INTO mt_send (sender, recipient, body) VALUES ('15880000', '01012345678', 'hello')")


def results(database):
    return database.one("SELECT COUNT(*) FROM mt_result")


# ---- mtrelayd -t and what prints ------------------------------------------------------------------------------------


def test_check_accepts_the_usual_configuration(agent):
    done = agent(start=False).run_daemon("-t")
    assert (done.returncode, done.stderr) == (0, "")


def test_check_tells_every_problem_with_its_line(folder):
    path = paths.write_file(os.path.join(folder, "bad.conf"), """agent: { id = "a b"; };
database: { driver = "odbc"; connection = "DSN=x"; heartbeet = "5s"; };
channels: ( { name = "dry"; driver = "null"; rate = -1; } );
routes: ( { type = ["SMS"]; channels = ["dry"]; } );
times: { heartbeat = 5; agent_lease = "20s"; };
""")
    done = run([paths.program("mtrelayd"), "-c", path, "-t"])
    assert done.returncode == 78
    assert done.stderr.splitlines() == [
        path + ':1: agent.id = "a b": use letters, digits and . _ - only',
        path + ":2: database.heartbeet: there is no such option; see mtrelay.conf(5)",
        path + ":3: channels[0].rate = -1 is out of range; write 0 to 100000",
        path + ':5: times.heartbeat: wrong type; write a whole number with its unit in quotes: ms, s, min, h or d, as "5s"',
    ]


def test_check_looks_at_the_files_that_are_named(agent, folder):
    open_key = paths.write_file(os.path.join(folder, "open.key"), "k\n", 0o644)
    one = agent(start=False, channels=[{"name": "a", "driver": "infobip", "url": "https://127.0.0.1:1",
                                        "api_key_file": open_key, "ca_file": folder + "/none.pem"}])
    done = one.run_daemon("-t")
    assert done.returncode == 78
    assert "channels[0].api_key_file: everybody may read %s; chmod 640 it" % open_key in done.stderr
    assert "channels[0].ca_file: cannot open %s/none.pem (No such file or directory)" % folder in done.stderr


def test_check_as_root_looks_with_the_eyes_of_the_agents_user(agent, folder):
    need_root()
    key = paths.write_file(os.path.join(folder, "root.key"), "k\n", 0o600)
    one = agent(start=False, extra={"agent": {"user": "nobody"}},
                channels=[{"name": "a", "driver": "infobip", "url": "https://127.0.0.1:1", "api_key_file": key}])
    done = one.run_daemon("-t")
    assert done.returncode == 78
    assert "cannot open %s (Permission denied)" % key in done.stderr


def test_missing_configuration_and_wrong_options_have_their_sentence(folder):
    done = run([paths.program("mtrelayd"), "-c", folder + "/none.conf"])
    assert done.returncode == 78
    assert done.stderr == ("%s/none.conf: cannot be opened (No such file or directory); name the configuration with -c\n"
                           % folder)
    done = run([paths.program("mtrelayd"), "start"])
    assert (done.returncode, done.stderr) == (64, 'mtrelayd: "start" is no option; see mtrelayd --help\n')
    assert run([paths.program("mtrelayd"), "--nonsense"]).returncode == 64


def test_unknown_user_is_named(agent):
    need_root()
    done = agent(start=False, extra={"agent": {"user": "no-such-user"}}).run_daemon()
    assert done.returncode == 78
    assert 'there is no user "no-such-user"; make it (useradd --system no-such-user) or name another' in done.stderr


def test_dump_reads_back_and_the_installed_sample_is_clean(agent, folder):
    one = agent(start=False)
    first = one.run_daemon("--dump-config").stdout
    path = paths.write_file(os.path.join(folder, "dump.conf"), first)
    second = run([paths.program("mtrelayd"), "-c", path, "--dump-config"])
    assert second.returncode == 0, second.stderr

    def values(text):
        return [line.split("; #")[0] for line in text.splitlines()]
    assert values(first) == values(second.stdout)
    assert re.search(r'heartbeat = "200ms"; # .*mtrelay.conf:\d+', first)
    assert 'stuck_limit = "1min"; # default' in first
    sample = run([paths.program("mtrelayd"), "--print-sample"]).stdout
    with open(os.path.join(paths.BUILDDIR, "etc", "mtrelay.conf.sample"), encoding="utf-8") as f:
        assert f.read() == sample
    path = paths.write_file(os.path.join(folder, "sample.conf"), sample)
    assert run([paths.program("mtrelayd"), "-c", path, "--dump-config"]).returncode == 0


def test_version_names_the_libraries():
    text = run([paths.program("mtrelayd"), "--version"]).stdout
    assert re.match(r"mtrelayd \d+\.\d+", text)
    for name in ("libcurl/", "OpenSSL/", "libevent ", "jansson ", "libconfig "):
        assert name in text


# ---- signals and the service manager --------------------------------------------------------------------------------


def test_service_manager_is_told_and_the_watchdog_is_fed(agent):
    one = agent(env={"WATCHDOG_USEC": "400000"})
    wait_until(lambda: one.notify.count("WATCHDOG", "1") >= 3, 10, "three signs for the watchdog", fail=one.dead_text)
    one.signal(signal.SIGHUP)
    wait_until(lambda: one.notify.count("READY", "1") >= 2, 10, "the end of the reload", fail=one.dead_text)
    assert one.notify.has("RELOADING", "1")
    one.stop()
    assert one.notify.has("STOPPING", "1")


def test_a_hanging_database_starves_the_watchdog_and_ends_the_process(agent, database):
    one = agent(env={"WATCHDOG_USEC": "200000"},
                extra={"times": {"stuck_limit": "1s"}, "database": {"statement_timeout": "500ms"}})
    holder = database.connect()
    try:
        holder.execute("BEGIN EXCLUSIVE")
        assert one.wait_exit(60) == 75
    finally:
        holder.rollback()
        holder.close()
    assert one.log_has("relay.stuck")


def test_reload_takes_all_or_nothing(agent):
    one = agent()
    one.write({"log": {"level": "warn"}, "times": {"heartbeat": "60s"}})
    one.signal(signal.SIGHUP)
    one.wait_log(r"relay.reload .*done=no")
    assert one.log_has(r"relay.reload .*3 x times.heartbeat \(3min\) must not be more than times.agent_lease")
    one.write({"times": {"heartbeat": "200ms"}, "agent": {"state_dir": one.dir + "/other"}})
    one.signal(signal.SIGHUP)
    one.wait_log(r"relay.reload .*need a restart: agent.state_dir")
    one.write({"agent": {"state_dir": one.dir + "/state"}, "log": {"level": "info"}})
    one.signal(signal.SIGHUP)
    one.wait_log(r"relay.reload .*done=yes")
    assert one.stop() == 0


def test_usr1_goes_on_in_a_new_log_file(agent, folder):
    path = os.path.join(folder, "own.log")
    one = agent(extra={"log": {"file": path}})
    os.rename(path, path + ".1")
    one.signal(signal.SIGUSR1)
    wait_until(lambda: os.path.exists(path), 10, "the new log file", fail=one.dead_text)
    one.stop()
    with open(path, encoding="utf-8") as f:
        assert "relay.stop" in f.read()


def test_memory_is_closed_and_no_core_is_left(agent):
    one = agent()
    with open("/proc/%d/limits" % one.pid, encoding="utf-8") as f:
        assert re.search(r"Max core file size +0 +0 ", f.read())


def test_started_as_root_it_becomes_the_agents_user_for_good(folder, database):
    need_root()
    give_away(database.dir)
    home = os.path.join(folder, "own")
    one = Agent(os.path.join(folder, "a"), database, extra={
        "agent": {"user": "nobody", "state_dir": home + "/lib/state", "control_socket": home + "/run/control.sock",
                  "pid_file": home + "/run/mtrelayd.pid"}})
    try:
        one.start()
        with open("/proc/%d/status" % one.pid, encoding="utf-8") as f:
            status = f.read()
        nobody = pwd.getpwnam("nobody")
        assert re.search(r"^Uid:%s$" % ("\t%d" % nobody.pw_uid * 4), status, re.M)
        assert re.search(r"^Gid:%s$" % ("\t%d" % nobody.pw_gid * 4), status, re.M)
        assert re.search(r"^CapEff:\t0+$", status, re.M)
        for made in ("lib/state", "run"):
            st = os.stat(os.path.join(home, made))
            assert (st.st_uid, st.st_mode & 0o777) == (nobody.pw_uid, 0o750)
        insert(database)
        wait_until(lambda: results(database) == 1, 15, "the result", fail=one.dead_text)
        one.stop()
    finally:
        one.close()


# ---- init script ----------------------------------------------------------------------------------------------------


class Init:
    """The init script of the build on an agent's configuration."""

    def __init__(self, one, log_path):
        self.one = one
        self.log_path = log_path
        self.pid_file = one.config["agent"]["pid_file"]
        self.default = paths.write_file(os.path.join(one.dir, "default"),
                                        "DAEMON=%s\nCONF=%s\nSTOP_TIMEOUT=30\n"
                                        % (paths.program("mtrelayd"), one.config_path), 0o644)

    def __call__(self, word):
        # No pipes: a daemon that kept one open would hang us, as it would hang a boot.
        out = os.path.join(self.one.dir, "init.out")
        with open(out, "w", encoding="utf-8") as f:
            status = subprocess.run(["/bin/sh", INIT, word], stdout=f, stderr=f, stdin=subprocess.DEVNULL, timeout=120,
                                    env=dict(os.environ, MTRELAYD_DEFAULT=self.default), check=False).returncode
        with open(out, encoding="utf-8") as f:
            return status, f.read()

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def wait_ready(self, times):
        wait_until(lambda: self.log().count(" relay.ready ") >= times, 30, "%d starts in the log" % times)

    def supervisor(self):
        with open(self.pid_file, encoding="utf-8") as f:
            return int(f.read())

    def child(self):
        pids = run(["ps", "-o", "pid=", "--ppid", str(self.supervisor())]).stdout.split()
        return int(pids[0]) if pids else None

    def close(self):
        try:
            os.killpg(self.supervisor(), signal.SIGKILL)
        except (OSError, ValueError):
            pass


@pytest.fixture
def init(agent, folder):
    if not os.path.exists(INIT):
        pytest.skip("%s is not built (make)" % INIT)
    log_path = os.path.join(folder, "init.log")
    script = Init(agent(start=False, extra={"log": {"file": log_path}}), log_path)
    yield script
    script.close()


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_init_script_starts_tells_restarts_and_stops(init, database):
    assert init("status") == (3, "mtrelayd: does not run\n")
    assert init("start") == (0, "mtrelayd: started\n")
    init.wait_ready(1)
    first = init.supervisor()
    assert init("status") == (0, "mtrelayd: runs as process %d\n" % first)
    assert init("start") == (0, "mtrelayd: runs already as process %d\n" % first)
    insert(database)
    wait_until(lambda: results(database) == 1, 15, "the result")

    assert init("reload")[0] == 0
    wait_until(lambda: "done=yes" in init.log(), 10, "the reload in the log")

    assert init("restart") == (0, "mtrelayd: stopped\nmtrelayd: started\n")
    assert not alive(first)
    init.wait_ready(2)
    assert init.supervisor() != first
    assert init("stop") == (0, "mtrelayd: stopped\n")
    assert init("status") == (3, "mtrelayd: does not run\n")
    assert init("stop") == (0, "mtrelayd: does not run\n")
    assert init("try-restart") == (0, "")
    assert init("reload")[0] == 7
    assert init("nonsense")[0] == 2


def test_init_script_brings_a_killed_agent_back(init, database):
    assert init("start")[0] == 0
    init.wait_ready(1)
    supervisor, child = init.supervisor(), init.child()
    os.kill(child, signal.SIGKILL)
    init.wait_ready(2)
    assert re.search(r"supervise.end child=%d signal=9 \(Killed\) .*restart_in_ms=1000" % child, init.log())
    assert init.supervisor() == supervisor and init.child() not in (None, child)
    insert(database)
    wait_until(lambda: results(database) == 1, 15, "the result")
    assert init("stop")[0] == 0


def test_init_script_after_the_supervisor_was_killed(init):
    assert init("start")[0] == 0
    init.wait_ready(1)
    supervisor, child = init.supervisor(), init.child()
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not alive(child), 30, "the end of the agent whose supervisor is gone")
    assert init("status") == (1, "mtrelayd: is dead, but %s is there\n" % init.pid_file)
    assert init("start")[0] == 0
    init.wait_ready(2)
    assert init("stop")[0] == 0
    assert init("status")[0] == 3


def test_init_script_keeps_a_running_agent_from_a_broken_configuration(init):
    assert init("start")[0] == 0
    init.wait_ready(1)
    first = init.supervisor()
    with open(init.one.config_path, "a", encoding="utf-8") as f:
        f.write("nonsense: { };\n")
    for word in ("restart", "reload", "try-restart"):
        status, text = init(word)
        assert status == 6 and "nonsense: there is no such section" in text
    assert init.supervisor() == first and alive(first)
    assert init("stop") == (0, "mtrelayd: stopped\n")
    status, text = init("start")
    assert status == 1 and "nonsense: there is no such section" in text


@pytest.mark.noschema
def test_init_script_tells_when_the_agent_ends_at_once(init):
    assert init("start") == (1, 'mtrelayd: has ended again: see its log, and "mtrelayctl check"\n')
    assert "mtrelayctl schema --apply" in init.log()
    assert init("status")[0] == 3


def test_a_second_daemon_on_the_same_pid_file_is_refused(init):
    assert init("start")[0] == 0
    done = init.one.run_daemon("--daemon")
    assert done.returncode == 75
    assert "the agent runs already as process %d" % init.supervisor() in done.stderr
    assert init("stop")[0] == 0


# ---- unit, manuals, tables ------------------------------------------------------------------------------------------


def need(name):
    path = shutil.which(name)
    if path is None:
        pytest.skip("%s is not installed" % name)
    return path


@pytest.fixture
def unit(folder):
    if not os.path.exists(UNIT):
        pytest.skip("%s is not built (make)" % UNIT)
    with open(UNIT, encoding="utf-8") as f:
        text = re.sub(r"^ExecStart=\S+", "ExecStart=" + paths.program("mtrelayd"), f.read(), flags=re.M)
    return paths.write_file(os.path.join(folder, "mtrelayd.service"), text, 0o644)


def test_unit_passes_the_verification_of_systemd(unit):
    done = run([need("systemd-analyze"), "verify", "--man=no", unit])
    ours = [line for line in done.stderr.splitlines() if "mtrelayd" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


def test_unit_is_hardened(unit):
    tool = need("systemd-analyze")
    if "--offline" not in run([tool, "--help"]).stdout:
        pytest.skip("this systemd-analyze cannot rate a file")
    done = run([tool, "security", "--offline=true", "--threshold=20", unit])
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def manual(name):
    path = os.path.join(paths.BUILDDIR, "etc", name)
    return path if os.path.exists(path) else os.path.join(paths.SRCDIR, "etc", name)


@pytest.mark.parametrize("name", ["mtrelayd.8", "mtrelayctl.8", "mtrelay.conf.5"])
def test_manual_is_clean(name):
    done = run([need("groff"), "-man", "-ww", "-Tascii", "-z", manual(name)])
    assert (done.returncode, done.stderr) == (0, "")


def test_every_event_of_the_log_is_in_the_manual_and_no_other():
    found = set()
    for top in ("agent", "drivers"):
        for folder, _, files in os.walk(os.path.join(paths.SRCDIR, top)):
            for name in files:
                if name.endswith(".c"):
                    with open(os.path.join(folder, name), encoding="utf-8") as f:
                        text = f.read()
                    for call in re.findall(r"\blog_(?:event|err)\((.*?)\);", text, re.S):
                        found |= set(re.findall(r'"([a-z0-9_]+\.[a-z0-9_]+)"', call))
    with open(manual("mtrelayd.8"), encoding="utf-8") as f:
        text = f.read().split(".SH DIAGNOSTICS")[1].split(".SH \"SEE ALSO\"")[0]
    told = set()
    for head in re.findall(r"^\.TP\n\.BR? (.*)$", text, re.M):
        told |= set(re.findall(r"[a-z0-9_]+\.[a-z0-9_]+", head))
    assert found - told == set(), "not in mtrelayd(8)"
    assert told - found == set(), "in mtrelayd(8) only"


def test_every_command_is_in_the_manual():
    with open(os.path.join(paths.SRCDIR, "agent", "ctl.def"), encoding="utf-8") as f:
        commands = re.findall(r"^CTL_DEF\((\w+),", f.read(), re.M)
    with open(manual("mtrelayctl.8"), encoding="utf-8") as f:
        text = f.read().split(".SH \"COMMANDS ON THE DATABASE\"")[1].split(".SH \"EXIT STATUS\"")[0]
    assert commands
    for word in commands:
        assert re.search(r"(\.BR? \"?|\.BI |\\fB)%s\b" % word, text), "%s is not in mtrelayctl(8)" % word
