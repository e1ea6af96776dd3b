"""The provider simulator as an object: starts tests/sim/mtsim.py and speaks with its control port.

The head of tests/sim/mtsim.py describes recipients with a meaning, fault rules and the control calls.
"""

import http.client
import json
import os
import shutil
import sys
import urllib.parse

from . import paths
from .proc import Proc
from .wait import wait_until


class Sim:
    def __init__(self, folder=None, options=(), start=True, **named):
        """named: options of mtsim.py with underscores: report_delay_ms=0, plain=True, cert_kind="expired"..."""
        self.own_dir = folder is None
        self.dir = folder or paths.temp_dir("sim")
        self.options = list(options)
        for name, value in named.items():
            option = "--" + name.replace("_", "-")
            if value is True:
                self.options.append(option)
            elif value not in (False, None):
                self.options += [option, str(value)]
        self.proc = None
        self.info = {}
        if start:
            self.start()

    def start(self, port=None, smpp_ports=()):
        ready = os.path.join(self.dir, "ready.json")
        if os.path.exists(ready):
            os.unlink(ready)
        argv = ["/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable, paths.SIM,
                "--dir", self.dir] + self.options
        if port:
            argv += ["--port", str(port)]
        if smpp_ports:
            argv += ["--smpp-port", ",".join(map(str, smpp_ports))]
        self.proc = Proc(argv, os.path.join(self.dir, "sim.log"))
        wait_until(lambda: os.path.exists(ready), 20, "the simulator", fail=self.proc.dead_text)
        with open(ready) as f:
            self.info = json.load(f)
        return self

    @property
    def url(self):
        return self.info["url"]

    @property
    def port(self):
        return int(self.url.rpartition(":")[2])

    @property
    def ca_file(self):
        return self.info["ca_file"]

    @property
    def api_key_file(self):
        return self.info["api_key_file"]

    @property
    def truth_file(self):
        return self.info["truth_file"]

    def cert(self, name):
        """Path in the certificate folder: "client.pem", "good.key" and so on."""
        return os.path.join(self.info["certs"], name)

    def key(self):
        with open(self.api_key_file) as f:
            return f.read().strip()

    def channel(self, name="infobip", **extra):
        """Channel block of the agent's configuration that reaches this simulator."""
        block = {"name": name, "driver": "infobip", "url": self.url, "api_key_file": self.api_key_file}
        if self.url.startswith("https"):
            block["ca_file"] = self.ca_file
        block.update(extra)
        return block

    def smpp_channel(self, name="smsc", **extra):
        """Channel block that reaches the SMPP side; the client key goes along, so that the truth has it as its id."""
        block = {"name": name, "driver": "smpp", "hosts": [self.info["smpp"]], "system_id": self.info["smpp_system_id"],
                 "password_file": self.info["smpp_password_file"], "key_tag": 0x1401}
        block.update({"ca_file": self.ca_file} if self.info["smpp_tls"] else {"tls": "off"})
        block.update(extra)
        return block

    @property
    def smpp_port(self):
        return int(self.info["smpp"].rpartition(":")[2])

    # ---- control ----

    def call(self, method, path, body=None):
        where = urllib.parse.urlsplit(self.info["control"])
        conn = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
        try:
            conn.request(method, path, None if body is None else json.dumps(body))
            answer = conn.getresponse()
            data = json.loads(answer.read())
        finally:
            conn.close()
        if answer.status != 200:
            raise ValueError("simulator: %s" % data.get("error"))
        return data

    def stats(self):
        return self.call("GET", "/stats")

    def config(self, **settings):
        return self.call("POST", "/config", settings)

    def rule(self, do=None, on="send", match=None, times=None, name=None, **more):
        """Adds one fault rule; keyword arguments that are not named here are parts of do."""
        spec = {"on": on, "do": dict(do or {}, **more)}
        if match:
            spec["match"] = match
        if times is not None:
            spec["times"] = times
        if name:
            spec["name"] = name
        return self.call("POST", "/rules", spec)["added"][0]

    def rules(self, specs=None):
        return self.call("GET", "/rules") if specs is None else self.call("POST", "/rules", specs)

    def fired(self, name):
        for r in self.rules():
            if r["name"] == name:
                return r["fired"]
        return 0

    def clear_rules(self, name=None):
        return self.call("DELETE", "/rules" + ("?name=" + urllib.parse.quote(name) if name else ""))

    def reset(self):
        return self.call("POST", "/reset")

    def inject(self, message_id, status=5, **more):
        """A report for any id now; more: error, delay_ms, phone, lied, to, callbackData."""
        return self.call("POST", "/reports/inject", dict(more, messageId=message_id, status=status))

    def pause_reports(self):
        return self.call("POST", "/reports/pause")

    def resume_reports(self):
        return self.call("POST", "/reports/resume")

    def listen(self, on=True, ms=None):
        return self.call("POST", "/listen", {"open": on} if ms is None else {"open": on, "ms": ms})

    def close_connections(self, how="rst"):
        return self.call("POST", "/connections/close", {"how": how})

    def requests(self, path=None, since=0):
        query = {"since": since}
        if path:
            query["path"] = path
        return self.call("GET", "/requests?" + urllib.parse.urlencode(query))

    # ---- SMPP ----

    def smpp(self):
        """Sessions, window use, counts, faults of the client."""
        return self.call("GET", "/smpp")

    def smpp_unbind(self, **what):
        return self.call("POST", "/smpp/unbind", what)["asked"]

    def smpp_enquire(self, **what):
        return self.call("POST", "/smpp/enquire", what)["asked"]

    def smpp_close(self, how="rst", **what):
        return self.call("POST", "/smpp/close", dict(what, how=how))["closed"]

    def smpp_raw(self, data, **what):
        """Bytes to all sessions (or session=N)."""
        return self.call("POST", "/smpp/raw", dict(what, hex=data.hex()))

    def smpp_listen(self, on=True, **what):
        """what: listener=N, ms=N."""
        return self.call("POST", "/smpp/listen", dict(what, open=on))["listening"]

    def smpp_receipt(self, message_id, state="DELIVRD", **more):
        """A receipt for any id; more: error, to, sender, delay_ms, number, key, and id, phone, lied for the truth."""
        return self.call("POST", "/smpp/receipt", dict(more, message_id=message_id, state=state))

    def smpp_mo(self, sender, recipient, text="", **more):
        """A message from a phone; more: data_coding, parts, shuffle, hex, esm, delay_ms. Its number in smpp()["mo"]."""
        return self.call("POST", "/smpp/mo", dict(more, text=text, **{"from": sender, "to": recipient}))["n"][0]

    # ---- truth ----

    def truth_of(self, message_id):
        return self.call("GET", "/truth?" + urllib.parse.urlencode({"id": message_id}))

    def truth(self):
        return read_truth(self.truth_file)

    # ---- end ----

    def stop(self):
        if self.proc is not None:
            self.proc.stop()
            self.proc = None

    def restart(self):
        """Ends the simulator and starts a fresh one (empty truth) on the same port with the same key."""
        port, smpp = self.port, [h.rpartition(":")[2] for h in self.info.get("smpp_hosts", ())]
        self.stop()
        return self.start(port, smpp)

    def close(self):
        if self.proc is not None and self.proc.alive():
            self.proc.kill9()
        self.proc = None
        if self.own_dir:
            paths.remove_dir(self.dir)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def keep_truth(self, path):
        shutil.copyfile(self.truth_file, path)


class Truth:
    """What became of one message id at the provider."""

    __slots__ = ("id", "to", "sender", "text", "accepted", "phone", "outcome", "lied", "dups", "t", "answered", "refused",
                 "parts", "parts_told", "last")

    def __init__(self, mid):
        self.id = mid
        self.to = self.sender = self.text = self.outcome = None
        self.accepted = self.phone = self.dups = 0
        self.lied = False
        self.t = None
        # Of the SMPP side:
        self.answered = 0       # times that it was told what became of this
        self.refused = 0        # of these, refusals
        self.parts = 0          # parts that came of messages in several parts
        self.parts_told = 0
        self.last = {}          # the line of the last one that was taken whole

    def __repr__(self):
        return "<%s to=%s accepted=%d phone=%d %s%s dups=%d>" % (
            self.id, self.to, self.accepted, self.phone, self.outcome, " lied" if self.lied else "", self.dups)


def read_truth(path):
    """Reads a truth file: dictionary of message id -> Truth."""
    out = {}
    with open(path, encoding="ascii") as f:
        for line in f:
            if not line.endswith("\n"):
                break               # being written
            rec = json.loads(line)
            got = out.get(rec["id"])
            if got is None:
                got = out[rec["id"]] = Truth(rec["id"])
            if rec["k"] == "msg":
                got.to, got.sender, got.text = rec["to"], rec["sender"], rec["text"]
                got.accepted += rec["accepted"]
                got.phone += rec["phone"]
                got.lied = got.lied or bool(rec["lied"])
                got.t = rec["t"]
                if rec["accepted"] or got.outcome is None:
                    got.outcome = rec["outcome"]
                if "answered" in rec:
                    got.answered += rec["answered"]
                    got.refused += rec["answered"] and not rec["accepted"]
                    if rec["accepted"]:
                        got.last = rec
            elif rec["k"] == "dup":
                got.dups += 1
            elif rec["k"] == "part":
                got.to = rec["to"]
                got.parts += 1
                got.parts_told += rec["answered"]
            elif rec["k"] == "lost":
                got.answered -= 1
            else:
                got.phone += rec["phone"]
                got.lied = got.lied or bool(rec["lied"])
    return out
