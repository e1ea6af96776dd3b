"""Message centres that we did not write: npm's smpp and Debian's Net::SMPP; stunnel in front of what knows no TLS; and tshark,
which says what it sees on the wire."""

import json
import os
import re
import shutil
import subprocess

from . import paths
from .prism import Unavailable
from .proc import Proc
from .wait import wait_until

PACKAGE, VERSION = "smpp", "0.5.1"
HERE = os.path.dirname(os.path.abspath(__file__))


def npm_module():
    """Folder of the npm package, installed into the tests' cache at the first use."""
    where = os.path.join(paths.cache_dir(), "smpp-" + VERSION)
    module = os.path.join(where, "node_modules", PACKAGE)
    if not os.path.isdir(module):
        npm = shutil.which("npm")
        if not npm:
            raise Unavailable("npm is not installed")
        os.makedirs(where, exist_ok=True)
        done = subprocess.run([npm, "install", "--prefix", where, "--ignore-scripts", "--no-audit", "--no-fund",
                               "%s@%s" % (PACKAGE, VERSION)], capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            shutil.rmtree(where, ignore_errors=True)
            raise Unavailable("npm install %s failed: %s" % (PACKAGE, done.stderr[-500:]))
    return module


class Centre:
    """A program that prints PORT N and appends a line to its file for each message."""

    def __init__(self, argv, folder, name):
        self.out = os.path.join(folder, name + ".out")
        self.log = os.path.join(folder, name + ".log")
        open(self.out, "w").close()
        self.proc = Proc(argv + [self.out], self.log)
        self.port = int(wait_until(self._port, 20, name, fail=self.proc.dead_text))

    def _port(self):
        with open(self.log) as f:
            found = re.search(r"PORT (\d+)", f.read())
        return found and found.group(1)

    def lines(self):
        with open(self.out, encoding="utf-8") as f:
            return f.read().splitlines()


def npm_centre(folder, cert="-", key="-"):
    node = shutil.which("node") or shutil.which("nodejs")
    if not node:
        raise Unavailable("node is not installed")
    return Centre([node, os.path.join(HERE, "smpp_centre.js"), npm_module(), cert, key], folder, "npm")


def npm_messages(centre):
    return [json.loads(line) for line in centre.lines()]


def perl_centre(folder):
    if subprocess.run(["perl", "-MNet::SMPP", "-e", "1"], capture_output=True, check=False).returncode:
        raise Unavailable("libnet-smpp-perl is not installed")
    return Centre(["perl", os.path.join(HERE, "smpp_centre.pl")], folder, "perl")


def stunnel(folder, port, cert, key):
    """TLS on a new port, in clear to port; the process and the new port."""
    program = shutil.which("stunnel4") or shutil.which("stunnel")
    if not program:
        raise Unavailable("stunnel4 is not installed")
    own = paths.free_port()
    path = os.path.join(folder, "stunnel.conf")
    with open(path, "w") as f:
        f.write("foreground = yes\npid =\n[smpp]\naccept = 127.0.0.1:%d\nconnect = 127.0.0.1:%d\ncert = %s\nkey = %s\n"
                % (own, port, cert, key))
    return Proc([program, path], os.path.join(folder, "stunnel.log")), own


class Tshark:
    """Listens on the loopback device; pdus() tells all that it has seen."""

    def __init__(self, folder, port):
        program = shutil.which("tshark")
        if not program:
            raise Unavailable("tshark is not installed")
        self.program, self.port = program, port
        self.file = os.path.join(folder, "wire.pcap")
        self.log = os.path.join(folder, "tshark.log")
        self.proc = Proc([program, "-q", "-i", "lo", "-f", "tcp port %d" % port, "-w", self.file], self.log)
        wait_until(self._captures, 20, "tshark", fail=self.proc.dead_text)

    def _captures(self):
        with open(self.log) as f:
            return "Capturing on" in f.read()

    def _read(self):
        """(command ids, what tshark calls malformed) of what has been written so far."""
        done = subprocess.run([self.program, "-r", self.file, "-d", "tcp.port==%d,smpp" % self.port, "-Y", "smpp", "-T", "fields",
                               "-e", "smpp.command_id", "-e", "_ws.malformed", "-E", "separator=/t"],
                              capture_output=True, text=True, timeout=60, check=False)
        commands, bad = [], []
        for line in done.stdout.splitlines():
            ids, _, wrong = line.partition("\t")
            commands += [int(i, 16) for i in ids.split(",") if i]
            bad += [wrong] if wrong else []
        return commands, bad

    def pdus(self, last):
        """All up to the first PDU with this command id, which comes last; the kernel hands packets over with a delay."""
        wait_until(lambda: last in self._read()[0], 20, "the last PDU in the capture", pause_s=0.2, fail=self.proc.dead_text)
        self.proc.stop()
        return self._read()
