"""Small foreign client of the simulator's own tests: HTTP/1.1 by http.client and raw sockets, HTTP/2 by curl."""

import http.client
import json
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.parse


class Client:
    def __init__(self, sim, context=None):
        self.sim = sim
        self.where = urllib.parse.urlsplit(sim.url)
        self.context = context
        if context is None and self.where.scheme == "https":
            self.context = ssl.create_default_context(cafile=sim.ca_file)
        self.conn = None

    def connect(self):
        if self.where.scheme == "https":
            return http.client.HTTPSConnection(self.where.hostname, self.where.port, timeout=20, context=self.context)
        return http.client.HTTPConnection(self.where.hostname, self.where.port, timeout=20)

    def headers(self):
        return {"Authorization": "App " + self.sim.key(), "Content-Type": "application/json"}

    def request(self, method, path, body=None, headers=None, keep=False):
        """(status, headers, body bytes)."""
        conn = self.conn or self.connect()
        if keep:
            self.conn = conn
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        try:
            conn.request(method, path, data, self.headers() if headers is None else headers)
            answer = conn.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            if not keep:
                conn.close()
                self.conn = None

    def get(self, path, **kw):
        status, _, body = self.request("GET", path, **kw)
        return status, json.loads(body)

    def send(self, *destinations, text="hello", sender="15880000", options=None, **kw):
        """destinations: (to, message id) pairs; (status, answer)."""
        status, _, body = self.request("POST", "/sms/3/messages", batch(destinations, text, sender, options), **kw)
        return status, json.loads(body)

    def reports(self, limit=1000, **args):
        return self.get("/sms/3/reports?" + urllib.parse.urlencode(dict(args, limit=limit)))[1]["results"]

    def logs(self, *ids, **args):
        if ids:
            args["messageId"] = ",".join(ids)
        return self.get("/sms/3/logs?" + urllib.parse.urlencode(args))[1]["results"]

    def wait_reports(self, n, deadline_s=10):
        got = []
        end = time.monotonic() + deadline_s
        while len(got) < n and time.monotonic() < end:
            got += self.reports()
            time.sleep(0.01)
        return got

    def raw(self):
        sock = socket.create_connection((self.where.hostname, self.where.port), timeout=10)
        if self.where.scheme == "https":
            sock = self.context.wrap_socket(sock, server_hostname=self.where.hostname)
        return sock

    def raw_send(self, sock, body):
        data = json.dumps(body).encode()
        head = ("POST /sms/3/messages HTTP/1.1\r\nHost: x\r\nAuthorization: App %s\r\n"
                "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (self.sim.key(), len(data)))
        sock.sendall(head.encode() + data)

    def curl(self, path, body=None, http2=True, *more):
        """(exit status of curl, "http_version status", body) by the curl command."""
        argv = ["curl", "-sS", "--http2" if http2 else "--http1.1", "--cacert", self.sim.ca_file, "-m", "20", "-H",
                "Authorization: App " + self.sim.key(), "-w", "\n%{http_version} %{http_code}", self.sim.url + path]
        argv += list(more)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            if body is not None:
                json.dump(body, f)
                f.flush()
                argv += ["-H", "Content-Type: application/json", "--data-binary", "@" + f.name]
            done = subprocess.run(argv, capture_output=True, timeout=60)
        out, _, last = done.stdout.decode("utf-8", "replace").rpartition("\n")
        return done.returncode, last, out


def batch(destinations, text="hello", sender="15880000", options=None):
    body = {"messages": [{"sender": sender, "destinations": [{"to": to, "messageId": mid}],
                          "content": {"text": text}} for to, mid in destinations]}
    if options:
        body["options"] = options
    return body
