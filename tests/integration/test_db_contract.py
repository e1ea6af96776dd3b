"""Database drivers against real servers: the conformance test of tests/unit/db_contract.c, connections that are cut at the
worst moment, and everything that can be wrong with opening a session.

The C program is told where to go by its environment; the proxy cuts when it sees the words that the program sends.
"""

import os
import re
import select
import shutil
import socket
import subprocess
import threading

import pytest

from conftest import wanted
from lib import db as dbs
from lib import paths

WORDS = {b"lose-reply": "reply", b"lose-request": "request"}
ARMING = {b"arm-reply": "reply", b"arm-request": "request"}
LONGEST = max(map(len, list(WORDS) + list(ARMING) + [b"COMMIT"]))


class CutProxy:
    """Passes bytes on to a server and cuts a connection at a chosen request, or when that request's answer comes.

    A request with lose-reply or lose-request is cut itself; after one with arm-reply or arm-request the next COMMIT is.
    self.cuts counts what was done.
    """

    def __init__(self, port, host="127.0.0.1", listen="127.0.0.1"):
        self.target = (host, port)
        self.cuts = {"reply": 0, "request": 0}
        self.listener = socket.create_server((listen, 0))
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self.serve, args=(client,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def serve(self, client):
        """One thread for both directions: an answer is never passed on after its cut was decided."""
        server = socket.create_connection(self.target)
        armed = cut = None
        seen = b""
        try:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                if client in ready:
                    data = client.recv(65536)
                    if not data:
                        return
                    text = seen + data
                    seen = text[-LONGEST + 1:]
                    cut = next((how for word, how in WORDS.items() if word in text), None)
                    if armed and b"COMMIT" in text.upper():
                        cut = armed
                    armed = next((how for word, how in ARMING.items() if word in text), armed)
                    if cut == "request":
                        self.cuts[cut] += 1
                        return
                    server.sendall(data)
                if server in ready:
                    data = server.recv(65536)
                    if cut == "reply":
                        self.cuts[cut] += 1
                        return
                    if not data:
                        return
                    client.sendall(data)
        except OSError:
            pass
        finally:
            client.close()
            server.close()

    def close(self):
        # A plain close() leaves accept() waiting.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def program():
    path = os.path.join(paths.BUILDDIR, "tests", "unit", "test_db_contract")
    if not os.path.exists(path):
        if os.environ.get("MTRELAY_TEST_STRICT"):
            raise AssertionError("%s is missing: run make check" % path)
        pytest.skip("%s is not built: run make check" % path)
    return path


def environment(config):
    """The database block of an agent's configuration as the program's environment."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MTRELAY_DB_")}
    for key, value in config.items():
        if key == "password_file":
            key, value = "password", open(value, encoding="utf-8").read().rstrip("\n")
        if key != "prefix":
            env["MTRELAY_DB_" + key.upper()] = str(value)
    # psqlODBC forgets a few hundred bytes for each connection that dies under it.
    supp = paths.write_file(os.path.join(SUPPRESSIONS, "lsan"), "leak:psqlodbc\nleak:libmaodbc\n")
    env["LSAN_OPTIONS"] = "suppressions=%s:print_suppressions=0" % supp
    return env


SUPPRESSIONS = paths.temp_dir("supp")


@pytest.fixture(scope="module", autouse=True)
def _tidy():
    yield
    shutil.rmtree(SUPPRESSIONS, ignore_errors=True)


def through(config, proxy):
    """The same configuration with the proxy in the place of the server."""
    if config["driver"] == "mysql":
        return dict(config, port=proxy.port)
    return dict(config, connection=re.sub(r"Port=\d+", "Port=%d" % proxy.port, config["connection"]))


def opened(config):
    """(class, native, sqlstate, text) of opening a session."""
    done = subprocess.run([program(), "open"], env=environment(config), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return re.fullmatch(r"(\w+) (-?\d+) \[(\w*)\] (.*)\n", done.stdout).groups()


def kinds_of(config):
    """The kinds that were asked for, MariaDB's second way in with its first."""
    kinds = wanted(config)
    if "mariadb" in kinds and "mariadb-odbc" not in kinds:
        kinds = kinds + ["mariadb-odbc"]
    return kinds


def pytest_generate_tests(metafunc):
    if "kind" in metafunc.fixturenames:
        kinds = kinds_of(metafunc.config)
        some = getattr(metafunc.function, "kinds", kinds)
        metafunc.parametrize("kind", [k for k in kinds if k in some])


def only(*kinds):
    def mark(test):
        test.kinds = kinds
        return test
    return mark


@pytest.fixture
def base(kind, servers):
    try:
        made = servers(kind).create()
    except dbs.Unavailable as e:
        if os.environ.get("MTRELAY_TEST_STRICT"):
            raise
        pytest.skip("%s: %s" % (kind, e))
    yield made
    made.drop()


def test_conformance(kind, base):
    config = base.agent_config()
    env = environment(config)
    proxy = None
    if kind != "sqlite":
        proxy = CutProxy(base.server.port)
        by = through(config, proxy)
        if config["driver"] == "mysql":
            env["MTRELAY_DB_PROXY_PORT"] = str(by["port"])
        else:
            env["MTRELAY_DB_PROXY_CONNECTION"] = by["connection"]
    done = subprocess.run([program()], env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    if proxy:
        proxy.close()
        # Two statements and a read lose their answer, and one COMMIT; one COMMIT never arrives.
        assert proxy.cuts == {"reply": 4, "request": 1}


@only("mariadb")
def test_conformance_over_tls(kind, base):
    env = environment(base.agent_config(tls="verify"))
    done = subprocess.run([program()], env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


REFUSED = {
    # what is wrong: class, a word that the sentence must hold
    "password": ("CONFIG", "password_file"),
    "database": ("CONFIG", ""),
    "port": ("LOST", "server runs"),
}


@only("mariadb", "mariadb-odbc", "mysql56", "postgresql")
@pytest.mark.parametrize("what", REFUSED)
def test_refused_login(kind, base, what, folder):
    config = base.agent_config()
    if what == "password":
        config["password_file"] = paths.write_file(os.path.join(folder, "p"), "quite wrong;}\n")
    elif what == "port":
        free = paths.free_port()
        config = dict(config, port=free) if "port" in config else dict(
            config, connection=re.sub(r"Port=\d+", "Port=%d" % free, config["connection"]))
    elif config["driver"] == "mysql":
        config["name"] = "nowhere"
    else:
        config["connection"] = config["connection"].replace("Database=" + base.name, "Database=nowhere")
    rc, _, _, text = opened(config)
    # Without rights MySQL says the same of a database that is not there: 1044, denied.
    assert rc == REFUSED[what][0], text
    assert REFUSED[what][1] in text, text
    assert "quite wrong" not in text


@pytest.mark.parametrize("connection,word", [
    ("", "database.connection is empty"),
    ("DSN=nowhere", "odbcinst"),
    ("Driver=/nowhere/lib.so;x=y", "odbcinst"),
    ("Driver=SQLITE;Database=/nowhere/at/all.db", "path of the database file"),
])
def test_refused_connection_string(connection, word):
    try:
        library = dbs.odbc_library("libsqlite3odbc*.so")
    except dbs.Unavailable as e:
        pytest.skip(str(e))
    rc, _, _, text = opened({"driver": "odbc", "connection": connection.replace("SQLITE", library)})
    assert rc == "CONFIG", text
    assert word in text


@only("mariadb", "mariadb-odbc", "postgresql")
@pytest.mark.parametrize("password", ["semi;colon", "{brace", "bra}ce", "a=b", "per%41cent", "pl+us", "quo'te\"s",
                                      "ends}", "sp ace", "{braces}", "한글"])
def test_passwords_of_all_kinds(kind, base, password, folder):
    quoted = password.replace("'", "''")
    if kind == "postgresql":
        base.server.admin("DROP ROLE IF EXISTS pw")
        base.server.admin("CREATE ROLE pw LOGIN PASSWORD '%s'" % quoted)
    else:
        base.server.admin("CREATE OR REPLACE USER pw@'%%' IDENTIFIED BY '%s'" % quoted)
        base.server.admin("GRANT ALL ON `%s`.* TO pw@'%%'" % base.name)
    config = dict(base.agent_config(), user="pw",
                  password_file=paths.write_file(os.path.join(folder, "p"), password + "\n"))
    rc, _, _, text = opened(config)
    assert rc == "OK", text


# ---- TLS ------------------------------------------------------------------------------------------------------------


def tls_config(base, **how):
    if base.dialect == "mysql":
        return base.agent_config(**how)
    mode = {"off": "disable", "on": "require", "verify": "verify-full"}[how["tls"]]
    config = base.agent_config()
    config["connection"] += "SSLmode=%s;" % mode
    if "ca_file" in how:
        config["connection"] += "pqopt={sslrootcert=%s};" % how["ca_file"]
    return config


def aimed(config, host, port):
    if config["driver"] == "mysql":
        return dict(config, host=host, port=port)
    connection = re.sub(r"Port=\d+", "Port=%d" % port, config["connection"])
    return dict(config, connection=re.sub(r"Servername=[\w.]+", "Servername=" + host, connection))


@only("mariadb", "postgresql")
def test_tls_checks_chain_and_name(kind, base, folder):
    ca = base.server.ca_file
    for how in ({"tls": "off"}, {"tls": "on"}, {"tls": "verify", "ca_file": ca}):
        rc, _, _, text = opened(tls_config(base, **how))
        assert rc == "OK", (how, text)
    # "on" asks for encryption only: another CA does not matter.
    stranger = os.path.join(folder, "stranger")
    from mtsim import certs
    certs.make(stranger)
    other_ca = os.path.join(stranger, "ca.pem")
    if kind == "mariadb":
        assert opened(tls_config(base, tls="on", ca_file=other_ca))[0] == "OK"
    rc, _, _, text = opened(tls_config(base, tls="verify", ca_file=other_ca))
    assert rc == "CONFIG" and "certificate" in text, text
    # The same server under an address that its certificate does not name.
    with CutProxy(base.server.port, listen="127.0.0.2") as proxy:
        good = tls_config(base, tls="verify", ca_file=ca)
        rc, _, _, text = opened(aimed(good, "127.0.0.2", proxy.port))
        assert rc == "CONFIG" and "certificate" in text, text
        rc, _, _, text = opened(aimed(tls_config(base, tls="on"), "127.0.0.2", proxy.port))
        assert rc == "OK", text


@only("mariadb")
def test_tls_bad_servers(kind, base):
    server = dbs.MariaDB()
    try:
        server.start()
        for name, want in (("expired", "CONFIG"), ("selfsigned", "CONFIG"), ("wronghost", "CONFIG"), ("unknownca", "CONFIG"),
                           (None, "CONFIG"), ("good", "OK")):
            server.stop()
            certs = os.path.join(server.dir, "certs")
            server.options["args"] = ["--skip-ssl"] if name is None else [
                "--ssl-cert=%s/%s.pem" % (certs, name), "--ssl-key=%s/%s.key" % (certs, name)]
            server.start()
            made = server.create()
            rc, _, _, text = opened(tls_config(made, tls="verify", ca_file=server.ca_file))
            assert rc == want, (name, text)
            if name is None:
                assert opened(tls_config(made, tls="on"))[0] == "CONFIG"
            if want != "OK":
                assert "TLS" in text or "certificate" in text, (name, text)
    finally:
        server.close()
