"""A Galera cluster of three MariaDB nodes on loopback, each with its own ports and data folder.

The nodes begin with copies of one data folder, so that nothing has to be transferred; a node that was killed comes back with what it
has missed (IST).  Buffers are small, durability is not weakened.
"""

import glob
import os
import re
import shutil
import subprocess

from . import paths
from .db import MariaDB, MysqlDatabase, Unavailable
from .wait import wait_until


def provider():
    found = sorted(glob.glob("/usr/lib/galera/libgalera*_smm.so") + glob.glob("/usr/lib64/galera*/libgalera*_smm.so"))
    if not found:
        raise Unavailable("no libgalera_smm.so: install galera-4")
    return found[-1]


class Node(MariaDB):
    kind = "galera"

    def __init__(self, cluster, number):
        super().__init__()
        self.cluster = cluster
        self.number = number
        self.group_port = paths.free_port()
        self.ist_port = paths.free_port()
        self.sst_port = paths.free_port()
        self.begins = False             # a new cluster, of this node's data
        self.position = None

    def command(self):
        options = ["gmcast.listen_addr=tcp://127.0.0.1:%d" % self.group_port, "base_host=127.0.0.1",
                   "base_port=%d" % self.group_port, "ist.recv_addr=127.0.0.1:%d" % self.ist_port, "gcache.size=64M",
                   "gcache.page_size=16M", "evs.keepalive_period=PT0.3S", "evs.suspect_timeout=PT1.5S",
                   "evs.inactive_timeout=PT3S", "evs.inactive_check_period=PT0.3S", "evs.install_timeout=PT3S"]
        # The scripts of the server split what stands in the command line at a semicolon.
        own = paths.write_file(os.path.join(self.dir, "my.cnf"), '[mysqld]\nwsrep_provider_options="%s"\n' % ";".join(options))
        argv = ["--defaults-file=" + own if a == "--no-defaults" else a for a in super().command()] + [
            "--wsrep-on=ON", "--wsrep-provider=" + provider(), "--wsrep-cluster-name=mtrelay-tests",
            "--wsrep-cluster-address=gcomm://" + self.cluster.addresses(), "--wsrep-node-name=node%d" % self.number,
            "--wsrep-node-address=127.0.0.1:%d" % self.group_port, "--wsrep-sst-method=rsync",
            "--wsrep-sst-receive-address=127.0.0.1:%d" % self.sst_port,
            "--wsrep-slave-threads=2", "--binlog-format=ROW", "--default-storage-engine=InnoDB",
            "--innodb-autoinc-lock-mode=2", "--server-id=%d" % self.number, "--innodb-buffer-pool-size=32M"]
        if self.begins:
            argv.append("--wsrep-new-cluster")
        if self.position:
            argv.append("--wsrep-start-position=" + self.position)
        return argv

    def users(self):
        if self.begins:
            super().users()

    def state(self, name):
        rows = self.admin("SHOW STATUS LIKE 'wsrep_%s'" % name)
        return rows[0][1] if rows else None

    def synced(self):
        try:
            return self.state("local_state_comment") == "Synced" and self.state("ready") == "ON"
        except Exception:               # noqa: BLE001 - any refusal means: not yet
            return False

    def wait_synced(self, deadline_s=90):
        wait_until(self.synced, deadline_s, "node %d to be synced" % self.number, fail=self.proc.dead_text)

    def wait_ready(self, probe):
        super().wait_ready(lambda: self.synced() or 1 / 0)

    def back(self):
        """Starts again after kill9(), with what it has missed."""
        self.begins = False
        done = subprocess.run(self.command() + ["--wsrep-recover"], capture_output=True, text=True, timeout=120, cwd=self.dir)
        found = re.findall(r"Recovered position:? ([0-9a-f-]{36}:-?\d+)", done.stdout + done.stderr)
        self.position = found[-1] if found else None
        self.run()
        self.position = None


class Galera:
    """cluster.nodes[0..2]; cluster.create() makes a database and gives one Database for each node."""

    def __init__(self, count=3):
        provider()
        self.nodes = [Node(self, n + 1) for n in range(count)]
        self.made = 0

    def addresses(self):
        return ",".join("127.0.0.1:%d" % n.group_port for n in self.nodes)

    def start(self):
        first = self.nodes[0]
        first.begins = True
        first.start()
        # Its position is on the disk only after a clean end.
        first.stop()
        for node in self.nodes[1:]:
            node.dir = paths.temp_dir(node.kind)
            shutil.copytree(os.path.join(first.dir, "data"), os.path.join(node.dir, "data"))
            shutil.copytree(os.path.join(first.dir, "certs"), os.path.join(node.dir, "certs"))
            for name in ("auto.cnf", "gvwstate.dat", "galera.cache"):
                path = os.path.join(node.dir, "data", name)
                if os.path.exists(path):
                    os.unlink(path)
            # The rsync of a state transfer that root begins works as nobody.
            os.chmod(os.path.join(node.dir, "data"), 0o777)
            node.port = paths.free_port()
        os.chmod(os.path.join(first.dir, "data"), 0o777)
        first.run()
        first.begins = False
        for node in self.nodes[1:]:
            node.run()
        wait_until(lambda: self.nodes[0].state("cluster_size") == str(len(self.nodes)), 60, "all nodes")
        return self

    def create(self):
        self.made += 1
        name = "g%d" % self.made
        first = self.nodes[0]
        first.admin("CREATE DATABASE `%s` CHARACTER SET utf8mb4" % name)
        first.admin("GRANT ALL ON `%s`.* TO 'relay'@'%%'" % name)
        return [MysqlDatabase(node, name) for node in self.nodes]

    def close(self):
        for node in self.nodes:
            node.close()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            for node in self.nodes:
                if node.dir and os.path.exists(node.log()):
                    with open(node.log(), encoding="utf-8", errors="replace") as f:
                        print("".join(f.readlines()[-60:]))
            self.close()
            raise

    def __exit__(self, *_):
        self.close()
