"""Fixtures of all Python tests (integration, fault; sim has its own simulator).

  database   a fresh database of every kind that was asked for; the test runs once a kind
             (--db sqlite,mariadb,postgresql is the default; --db all adds mysql56 and mariadb-odbc)
             Marks: @pytest.mark.db("mariadb") limits a test to kinds; @pytest.mark.noschema leaves the tables away.
  sim        a provider simulator, fresh truth for each test; @pytest.mark.sim(report_delay_ms=0, ...) gives options
  agent      factory: agent(extra={...}, channel={...}, start=True) -> running Agent; all are ended after the test
  oracle     Oracle of this database and this simulator
  failpoints skips the test unless the build has fault points
  folder     temporary folder with a short path

Servers are started when the first test needs them, shared by the session, and ended by pid.
"""

import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib import db as dbs                # noqa: E402
from lib import paths                    # noqa: E402
from lib.agent import Agent              # noqa: E402
from lib.oracle import Oracle            # noqa: E402
from lib.sim import Sim                  # noqa: E402

DEFAULT = ("sqlite", "mariadb", "postgresql")


def pytest_addoption(parser):
    parser.addoption("--db", default=os.environ.get("MTRELAY_TEST_DB", ",".join(DEFAULT)),
                     help="kinds of database, comma separated, or all: %s" % ", ".join(dbs.KINDS))


def wanted(config):
    kinds = config.getoption("--db")
    kinds = list(dbs.KINDS) if kinds == "all" else [k.strip() for k in kinds.split(",") if k.strip()]
    for k in kinds:
        if k not in dbs.KINDS:
            raise pytest.UsageError("--db %s: known are %s" % (k, ", ".join(dbs.KINDS)))
    return kinds


def pytest_generate_tests(metafunc):
    if "database" in metafunc.fixturenames:
        kinds = wanted(metafunc.config)
        mark = metafunc.definition.get_closest_marker("db")
        if mark:
            # Kinds that a test names beyond the default set run only when they were asked for.
            kinds = [k for k in kinds if k in mark.args]
        else:
            kinds = [k for k in kinds if k in DEFAULT] or kinds
        metafunc.parametrize("database", kinds, indirect=True)


@pytest.fixture(scope="session")
def servers():
    """Kind -> server, started by the first use."""
    made = {}

    def get(kind):
        if kind not in made:
            if kind == "mariadb-odbc":
                made[kind] = dbs.MariaDBOdbc(get("mariadb"))
            else:
                made[kind] = dbs.KINDS[kind]()
        return made[kind]

    yield get
    for server in made.values():
        server.close()


@pytest.fixture
def database(request, servers):
    try:
        base = servers(request.param).create()
    except dbs.Unavailable as e:
        if os.environ.get("MTRELAY_TEST_STRICT"):
            raise
        pytest.skip("%s: %s" % (request.param, e))
    try:
        if not request.node.get_closest_marker("noschema"):
            base.apply_schema()
        yield base
    finally:
        base.drop()


@pytest.fixture
def folder():
    """A temporary folder with a short path, removed after the test."""
    path = paths.temp_dir("test")
    yield path
    paths.remove_dir(path)


@pytest.fixture(scope="session")
def _shared_sim():
    """The simulator with default options, shared by the tests that ask for no others; started by the first use."""
    box = []

    def get():
        if not box or not box[0].proc.alive():
            box[:] = [Sim(smpp_port="0,0")]
            box[0].defaults = box[0].call("GET", "/config")
        return box[0]

    yield get
    for one in box:
        one.close()


@pytest.fixture
def sim(request, _shared_sim):
    mark = request.node.get_closest_marker("sim")
    if mark:
        with Sim(**mark.kwargs) as own:
            yield own
            assert own.stats()["internal_errors"] == 0, own.proc.tail()
        return
    shared = _shared_sim()
    shared.reset()
    shared.config(**shared.defaults)
    shared.listen(True)
    shared.smpp_listen(True)
    yield shared
    if shared.proc.alive():
        assert shared.stats()["internal_errors"] == 0, shared.proc.tail()


@pytest.fixture
def agent(request, folder, database):
    """Factory of agents on this test's database and simulator."""
    made = []
    provider = request.getfixturevalue("sim") if "sim" in request.fixturenames else None

    def make(start=True, agent_id=None, sim=provider, name=None, **kw):
        name = name or "a%d" % (len(made) + 1)
        one = Agent(os.path.join(folder, name), database, sim, agent_id=agent_id or "test-%d" % (len(made) + 1), **kw)
        made.append(one)
        return one.start() if start else one

    yield make
    for one in made:
        one.close()
    report = getattr(request.node, "rep_call", None)
    if report is not None and report.failed:
        for one in made:
            sys.stderr.write("---- end of the log of %s\n%s\n" % (one.dir, "\n".join(one.log().splitlines()[-60:])))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "rep_" + call.when, outcome.get_result())


@pytest.fixture
def oracle(database, request):
    return Oracle(database, request.getfixturevalue("sim") if "sim" in request.fixturenames else None)


@pytest.fixture
def failpoints():
    """Names of the fault points of this build; skips when there are none.  The build says so by itself."""
    done = subprocess.run([paths.program("mtrelayd"), "--version"], capture_output=True, text=True, timeout=30,
                          env=dict(os.environ, MTRELAY_FAILPOINT="no such point"))
    if done.returncode != 78:
        pytest.skip("this build has no fault points (--enable-failpoints)")
    return True
