"""PgBouncer in front of a PostgreSQL of the tests, in transaction mode: each transaction may meet another session of the server."""

import os
import re
import shutil
import signal

from . import paths
from .db import OWNER, PASSWORD, find
from .proc import Proc
from .wait import wait_until

try:
    import psycopg2
except ImportError:
    psycopg2 = None


class PgBouncer:
    """with PgBouncer(server) as pool: pool.config(database)

    Few sessions for many clients, handed out in turn, so that nobody keeps one by chance."""

    def __init__(self, server, size=4, **settings):
        self.server = server
        self.settings = dict({"pool_mode": "transaction", "default_pool_size": size, "server_round_robin": 1}, **settings)
        self.dir = paths.temp_dir("pool")
        self.port = paths.free_port()
        self.proc = None

    def start(self):
        user = "postgres" if os.geteuid() == 0 else None
        quoted = PASSWORD.replace('"', '""')
        paths.write_file(os.path.join(self.dir, "users"), '"%s" "%s"\n"admin" "admin"\n' % (OWNER, quoted))
        lines = ["[databases]", "* = host=127.0.0.1 port=%d" % self.server.port, "[pgbouncer]"]
        lines += ["%s = %s" % pair for pair in dict({
            "listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "", "auth_type": "scram-sha-256",
            "auth_file": os.path.join(self.dir, "users"), "admin_users": "admin", "max_client_conn": 100,
        }, **self.settings).items()]
        ini = paths.write_file(os.path.join(self.dir, "pgbouncer.ini"), "\n".join(lines) + "\n")
        if user:
            for path in (self.dir, ini, os.path.join(self.dir, "users")):
                shutil.chown(path, user, user)
        self.proc = Proc([find("pgbouncer"), ini], os.path.join(self.dir, "log"), user=user, cwd=self.dir)

        def ready():
            try:
                return self.admin("SHOW VERSION")
            except psycopg2.OperationalError:
                return None
        wait_until(ready, 20, "pgbouncer", fail=self.proc.dead_text)
        return self

    def admin(self, sql):
        conn = psycopg2.connect(host="127.0.0.1", port=self.port, user="admin", password="admin", dbname="pgbouncer")
        conn.autocommit = True
        try:
            cur = conn.cursor()
            cur.execute(sql)
            return cur.fetchall() if cur.description else []
        finally:
            conn.close()

    def config(self, database):
        """The database block of an agent that goes through the pool."""
        block = database.agent_config()
        block["connection"] = re.sub(r"Port=\d+;", "Port=%d;" % self.port, block["connection"])
        return block

    def restart(self):
        self.proc.stop(signal.SIGTERM)
        return self.start()

    def kill9(self):
        self.proc.kill9()

    def close(self):
        if self.proc is not None and self.proc.alive():
            self.proc.kill9()
        paths.remove_dir(self.dir)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()
