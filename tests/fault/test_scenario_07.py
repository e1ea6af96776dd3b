"""Scenario 7: a connection that was used before dies under the next request, and any connection dies at any byte.

A client library that meets a dead kept-alive connection sends the request once more by itself, and the phone rings twice.  Here the
provider has read as many requests as there are messages.  The second test cuts the request or the answer at a byte: FIN, RST, or
nothing more comes.  Slice: some bytes, chosen by the seed; long form: every byte, in clear and under TLS, on every database.
"""

import random

import pytest

from lib import proof
from lib.proxy import Proxy
from lib.sim import Sim
from lib.wait import wait_until

pytestmark = pytest.mark.db(*proof.size(("mariadb",), ("sqlite", "mariadb", "postgresql")))

QUICK = {"times": {"unknown_look": "100ms", "care_pass": "100ms", "quiet_time": "700ms"}}
WAYS = {
    # simulator's options, channel's options, what else becomes of a connection that was used before
    "clear": ({"plain": True}, {}, {}),
    "tls": ({}, {}, {}),
    # One request at a time: what else is on the connection dies unread, and is rightly sent again when it is not found.
    "h2": ({"http": "2"}, {"http_version": "2", "connections": 1}, {"h2": "goaway"}),
}


def all_done(a, database, deadline_s):
    wait_until(lambda: database.count("send") == 0, deadline_s, "no row left", pause_s=0.1, fail=a.dead_text)


def facts(a):
    text = a.ctl_json("status", check=False)["pipeline"]["channels"][0]["facts"]
    return dict(f.split("=", 1) for f in text.split())


@pytest.mark.parametrize("way", WAYS)
def test_a_used_connection_dies_after_each_request(database, agent, oracle, way):
    seed = proof.seed()
    count = proof.size(30, 1000)
    sim_options, channel, how = WAYS[way]
    with Sim(dedupe="off", report_delay_ms=20, **sim_options) as sim:
        for first, end in ((2, "fin"), (4, "rst")):
            # Read and taken, and then the connection is gone. Every second time only: a channel that never gets an answer backs
            # off, and the test would wait for that.
            sim.rule(dict(how, cut="after_read", how=end), name="dead-" + end,
                     match={"reused": True, "nth": list(range(first, 4 * count, 4))})
        database.insert_many(count)
        oracle.snapshot()
        oracle.truth_file = sim.truth_file
        a = agent(sim=sim, extra=QUICK, channel=dict({"connections": 8}, batch=1, log_queries_per_minute=6000, **channel))
        all_done(a, database, proof.size(60, 1800))
        seen = facts(a)
        a.stop()
        tally = oracle.check()
        stats = sim.stats()
        dead = sim.fired("dead-fin") + sim.fired("dead-rst")
        proof.record("scenario 7 " + way, database.kind, seed, messages=count, requests=stats["requests_send"],
                     dead_connections=dead, second_sendings_prevented=int(seen["prevented_resends"]))
        assert stats["requests_send"] == stats["items_in"] == count
        assert {t.accepted for t in sim.truth().values()} == {1}
        assert tally == {"OK": count}
        assert dead >= count // 10, "the test did not do what it says"
        if way != "h2":
            assert int(seen["prevented_resends"]) > 0, seen


# ---- every byte ----

LINKS = 32


class Cutter:
    """Rounds of LINKS connections, each of which ends at a place of its own."""

    def __init__(self, a, database, proxy):
        self.a = a
        self.database = database
        self.proxy = proxy
        self.sent = 0

    def fresh(self):
        """A channel without a past: its connections are new, and it has not backed off."""
        before = self.proxy.links
        block = dict(self.a.config["channels"][0])
        block["connections"] = 2 * LINKS - 1 + block["connections"] % 2
        self.a.write({"channels": [block]})
        self.a.ctl("reload")
        wait_until(lambda: self.proxy.links > before and self.state() == "UP", 20, "a new connection",
                   fail=self.a.dead_text)
        return self.proxy.links

    def state(self):
        return self.a.ctl_json("status", check=False)["pipeline"]["channels"][0]["state"]

    def send(self, count):
        self.database.insert_many(count)
        self.sent += count
        # Handed over, one way or another.
        wait_until(lambda: self.database.count("send", "status IN (0, 1, 5)") == 0, 30, "all handed over",
                   fail=self.a.dead_text)

    def lengths(self):
        """Bytes of one request and its answer, connecting included."""
        first = self.fresh()
        self.send(8)
        seen = sorted((link.up.passed, link.down.passed) for link in self.proxy.open if link.no > first)
        return seen[len(seen) // 2]

    def round(self, places):
        """Places whose turn never came."""
        first = self.fresh()
        faults = [self.proxy.fault(do, way=way, byte=byte, link=first + 1 + n)
                  for n, (way, byte, do) in enumerate(places)]
        # One more: the connection that is open already takes one.
        self.send(len(places) + 1)
        self.proxy.clear()
        return [place for place, fault in zip(places, faults) if not fault.fired]


@pytest.mark.parametrize("way", ["clear", "tls"])
def test_cut_at_every_byte(database, agent, oracle, way):
    seed = proof.seed()
    with Sim(dedupe="off", report_delay_ms=20, **WAYS[way][0]) as sim, \
            Proxy(sim.port, speaks="tls" if way == "tls" else None) as proxy:
        oracle.truth_file = sim.truth_file
        a = agent(sim=sim, extra=QUICK, channel={
            "url": sim.url.rpartition(":")[0] + ":%d" % proxy.port, "batch": 1, "connections": 2 * LINKS,
            "connect_timeout": "1s", "report_poll": "10min", "log_queries_per_minute": 6000})
        cutter = Cutter(a, database, proxy)
        up, down = cutter.lengths()
        assert up > 300 and down > 150, (up, down)
        every = [(w, byte, do) for w, most in (("up", up), ("down", down)) for byte in range(most)
                 for do in ("fin", "rst", "stall")]
        random.Random(seed).shuffle(every)
        left = every[:proof.size(2 * LINKS, len(every))]
        cuts = len(left)
        rounds = 0
        while left:
            rounds += 1
            assert rounds < 3 * cuts / LINKS + 10, "%d places are never reached: %s" % (len(left), left[:5])
            left = cutter.round(left[:LINKS]) + left[LINKS:]
        # Reports are asked for now.
        a.write({"channels": [dict(a.config["channels"][0], report_poll="50ms")]})
        a.ctl("reload")
        all_done(a, database, proof.size(60, 600))
        oracle.expect(*(r["msg_id"] for r in database.query("SELECT msg_id FROM {p}result")))
        a.stop()
        tally = oracle.check()
        accepted = sum(t.accepted for t in sim.truth().values())
        proof.record("scenario 7 bytes " + way, database.kind, seed, cuts=cuts, places=len(every),
                     messages=cutter.sent, taken=accepted, requests=sim.stats()["requests_send"])
        assert tally == {"OK": cutter.sent}
        assert accepted == cutter.sent
