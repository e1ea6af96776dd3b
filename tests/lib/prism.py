"""Prism (npm @stoplight/prism-cli), a foreign validating proxy: lays each request and answer beside the provider's published
specification and says what does not fit."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess

from . import paths
from .proc import Proc
from .wait import wait_until

PACKAGE, VERSION = "@stoplight/prism-cli", "5.14.2"


class Unavailable(Exception):
    """Prism cannot be had here; the text says why."""


def program():
    """Path of the program, installed into the tests' cache at the first use."""
    where = os.path.join(paths.cache_dir(), "prism-" + VERSION)
    path = os.path.join(where, "node_modules", ".bin", "prism")
    if not os.path.exists(path):
        npm = shutil.which("npm")
        if not npm:
            raise Unavailable("npm is not installed")
        os.makedirs(where, exist_ok=True)
        try:
            done = subprocess.run([npm, "install", "--prefix", where, "--ignore-scripts", "--no-audit", "--no-fund",
                                   "%s@%s" % (PACKAGE, VERSION)], capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            raise Unavailable("npm install %s took too long" % PACKAGE)
        if done.returncode:
            shutil.rmtree(where, ignore_errors=True)
            raise Unavailable("npm install %s failed: %s" % (PACKAGE, done.stderr[-500:]))
    return path


class Prism:
    def __init__(self, spec, upstream, folder, flags=()):
        self.port = paths.free_port()
        self.log_path = os.path.join(folder, "prism.log")
        self.proc = Proc([program(), "proxy", spec, upstream, "--host", "127.0.0.1", "--port", str(self.port)] + list(flags),
                         self.log_path)
        wait_until(self._listens, 90, "Prism", fail=self.proc.dead_text)

    def _listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    def lines(self):
        """The log without its colours."""
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return re.sub(r"\x1b\[[0-9;]*m", "", f.read()).splitlines()

    def complaints(self):
        """Everything that is worse than a note."""
        return [line for line in self.lines() if re.search(r"Violation|\berror\b|\bwarning\b", line)]

    def count(self, method, path):
        return sum("%s %s" % (method, path) in line and "Request received" in line for line in self.lines())

    def call(self, key, method, path, body=None):
        """One request of our own; status, violations, text."""
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {"Authorization": "App " + key}
            if body is not None:
                headers["Content-Type"] = "application/json"
            conn.request(method, path, None if body is None else json.dumps(body), headers)
            answer = conn.getresponse()
            return answer.status, json.loads(answer.getheader("sl-violations") or "[]"), answer.read().decode()
        finally:
            conn.close()

    def close(self):
        self.proc.kill9()
