"""Everything that goes wrong at an SMPP centre and on the way to it; what the simulator keeps is the truth.

  storm     4 sessions, 10 % throttled, connections cut in the middle of the window, 30 % of the receipts before their answer
  bytes     a session cut at every byte, both ways
  garbage   answers that are none
  hostile   a peer that floods, lies about lengths and is in states of its own costs nothing but its own connection
  kills     kill -9 with everything under way
In none of them a phone gets a message twice, and `mtrelayctl unknown list` names exactly what had no answer.
Slices: 2,000 messages, 12 bytes, 3 kills.  Long form: 100,000 messages, every byte, 50 kills, the three databases.
"""

import os
import random
import socket
import threading
import time

import pytest

from lib import proof
from lib.proxy import Proxy
from lib.wait import wait_until

pytestmark = pytest.mark.db(*proof.size(("sqlite",), ("sqlite", "mariadb", "postgresql")))

DEADLINE = proof.size(90, 3600)
ROUTES = {"routes": [{"type": ["SMS"], "channels": ["smsc"], "on_unknown": "hold"}]}


def held(a):
    return {r["msg_id"] for r in a.ctl_json("unknown", "list", "--limit", 100000, check=False)["rows"]}


def clean(sim):
    """What the agent wrote was as the specification has it."""
    view = sim.smpp()
    assert view["faults"] == [] and view["smpp_sequence_reused"] == view["smpp_doubles"] == 0, view["faults"]
    return view


def decided(database, a, rows, deadline_s):
    """Waits until each row has its result or is held; the held ones."""
    def look():
        open_rows = {r["msg_id"]: r["status"] for r in database.query("SELECT msg_id, status FROM {p}send")}
        return all(status == 4 for status in open_rows.values()) and (set(open_rows) & rows,)
    return wait_until(look, deadline_s, "each message to end or to be held", pause_s=0.1, fail=a.dead_text)[0]


def told(oracle, truth):
    """Messages of which the centre told that it took them: its answer left."""
    return {oracle.id_of(t.id) for t in truth.values() if t.answered > t.refused}


# ---- storm --------------------------------------------------------------------------------------------------------


def test_storm(database, sim, agent, oracle):
    seed = proof.seed()
    count = proof.size(2000, 100000)
    sim.config(report_delay_ms=30, truth_text="digest", smpp_window=50, magic=False)
    sim.rules([
        {"on": "submit", "match": {"probability": 0.1, "seed": seed}, "do": {"throttle": True}, "name": "throttled"},
        {"on": "submit", "match": {"probability": 0.3, "seed": seed + 1}, "do": {"before_answer": True}, "name": "early"},
        # After the others, so that what is throttled and cut is not taken for taken.
        {"on": "submit", "match": {"probability": proof.size(0.003, 0.001), "seed": seed + 2},
         "do": {"cut": "after_read", "accept": True}, "name": "cut"},
        {"on": "submit", "match": {"probability": proof.size(0.001, 0.0003), "seed": seed + 3},
         "do": {"cut": "before_read"}, "name": "cut unread"},
    ])
    database.insert_many(count, recipient=lambda n: "010%08d" % (20000000 + n), body=lambda n: "storm %d" % n)
    oracle.snapshot()
    rows = {r[0] for r in oracle.inserted}
    began = time.monotonic()
    a = agent(channels=[sim.smpp_channel(sessions=4, window=50, throttle_pause="10ms", hosts=sim.info["smpp_hosts"] * 4)],
              extra=ROUTES)
    mine = decided(database, a, rows, DEADLINE)
    took = time.monotonic() - began
    wait_until(lambda: sim.stats()["smpp_deliveries_open"] == 0, 60, "all receipts to be answered", fail=a.dead_text)
    listed = held(a)
    view = clean(sim)
    truth = sim.truth()
    cuts = sim.fired("cut") + sim.fired("cut unread")
    proof.record("smpp storm", database.kind, seed, messages=count, cuts=cuts, throttled=view["smpp_throttled"],
                 early=sim.fired("early"), held=len(mine), took_s=took)
    print("%d messages in %.1f s, %d throttled, %d sessions cut, %d receipts before their answer, %d held"
          % (count, took, view["smpp_throttled"], cuts, sim.fired("early"), len(mine)))
    assert cuts > 0 and view["smpp_throttled"] > count / 20 and sim.fired("early") > count / 5
    # One rule for all of it: held is what had no answer, no more and no less.
    assert mine == listed == rows - told(oracle, truth)
    assert all(t.phone <= 1 for t in truth.values())
    assert database.count("result", "result_class = 'OK'") == count - len(mine) == database.count("result")
    assert database.count("send", "status <> 4") == 0
    # The receipts of the held ones name ids that nobody told us: they are kept, not made something of.
    assert database.count("report") >= sum(t.phone for t in truth.values() if oracle.id_of(t.id) in mine)
    a.stop()
    assert oracle.violations(all_done=False) == []


# ---- bytes --------------------------------------------------------------------------------------------------------

BYTES = {"up": 340, "down": 420}        # of a session with two messages and their receipts, and a bit more


@pytest.mark.sim(smpp=True, smpp_plain=True, report_delay_ms=0)
@pytest.mark.parametrize("way", ["up", "down"])
def test_cut_at_every_byte(database, sim, agent, oracle, way):
    """The session dies at the n-th byte; the next one sees the rest done."""
    seed = proof.seed()
    rng = random.Random(seed)
    places = list(range(1, BYTES[way]))
    if not proof.long_form():
        places = sorted(rng.sample(places, 6))
    sim.config(magic=False)
    with Proxy(sim.smpp_port) as proxy:
        # The same place eight times: it is tried again at once, not after a pause.
        a = agent(channels=[sim.smpp_channel(hosts=["127.0.0.1:%d" % proxy.port] * 8, split="udh", answer_timeout="3s")],
                  extra=ROUTES)
        wait_until(lambda: sim.stats()["smpp_bound"] == 1, 10, "a session", fail=a.dead_text)
        cuts = 0
        known = set()
        for place in places:
            proxy.clear()
            fault = proxy.fault(rng.choice(["rst", "fin"]), way=way, byte=place, per_link=True, times=1)
            sim.smpp_close("fin")
            new = {database.insert("010-2000-%04d" % (place % 10000), "at byte %d" % place),
                   database.insert("010-2001-%04d" % (place % 10000), "x" * 161)}
            oracle.expect(*new)
            known |= new
            decided(database, a, new, 30)
            cuts += fault.fired
            # What was cut behind the answers is brought again by the centre.
            wait_until(lambda: sim.stats()["smpp_bound"] == 1 and sim.stats()["smpp_deliveries_open"] == 0, 20,
                       "the next session to have all receipts", fail=a.dead_text)
        proxy.clear()
        mine = held(a)
        truth = sim.truth()
        clean(sim)
        print("%d places, %d cut, %d of %d messages held" % (len(places), cuts, len(mine), len(known)))
        proof.record("smpp bytes " + way, database.kind, seed, places=len(places), cuts=cuts, messages=len(known), held=len(mine))
        assert cuts >= len(places) * 0.7
        assert all(t.phone <= 1 for t in truth.values())
        # Whatever the centre never saw whole or never answered may be held, and nothing that it did not see was called sent.
        seen = {oracle.id_of(t.id) for t in truth.values() if t.phone}
        assert known - mine <= seen
        a.stop()
    assert oracle.violations(all_done=False) == []


# ---- garbage ------------------------------------------------------------------------------------------------------

# Kind -> what may be concluded. An id without its end still is one; what cannot be read tells nothing; where only the length of
# the PDU is wrong, the id can be read (too short a length cuts it: then no receipt is its own), and the session is out of step.
GARBAGE = {"truncated": "taken", "wrong_length": "OK", "huge_length": "held", "short_length": "held", "no_id_end": "OK",
           "unknown_command": "held", "submit": "held", "zeros": "held", "long_id": "held"}


def test_answers_that_are_none(database, sim, agent, oracle):
    a = agent(channels=[sim.smpp_channel(hosts=sim.info["smpp_hosts"] * 4, answer_timeout="1s", enquire_link="300ms")],
              extra=ROUTES)

    def fate(msg):
        if database.result(msg):
            return database.result(msg)["result_class"]
        return {2: "taken", 4: "held"}.get(database.one("SELECT status FROM {p}send WHERE msg_id = %d" % msg))

    bad = {}
    for kind, fit in GARBAGE.items():
        sim.clear_rules()
        sim.rule(on="submit", garbage=kind, times=1)
        bad[kind] = database.insert("010-2000-0001", kind)
        wait_until(lambda: fate(bad[kind]) == fit, 10, "%s to be %s" % (kind, fit), fail=a.dead_text)
        # The session was ended or is in step again: the next message goes.
        after = database.insert("010-2000-0002", "after " + kind)
        database.wait_result(after, 20, fail=a.dead_text, result_class="OK")
        oracle.expect(bad[kind], after)
    assert {kind: fate(msg) for kind, msg in bad.items()} == GARBAGE
    assert all(t.phone == 1 for t in sim.truth().values())
    assert sim.stats()["smpp_doubles"] == 0
    a.stop()
    assert oracle.violations(all_done=False) == []


def test_odd_answers(database, sim, agent, oracle):
    """generic_nack, wrong numbers, answers twice, no id."""
    a = agent(channels=[sim.smpp_channel(answer_timeout="1s")], extra=ROUTES)
    sim.rule(on="submit", match={"text": "^nack"}, nack="RINVCMDID")
    sim.rule(on="submit", match={"text": "^full"}, nack="RMSGQFUL", times=1)
    sim.rule(on="submit", match={"text": "^wrong"}, wrong_sequence=True)
    sim.rule(on="submit", match={"text": "^twice"}, repeat_item=3)
    sim.rule(on="submit", match={"text": "^noid"}, message_id="")
    ids = {word: database.insert("010-2000-0001", word) for word in ("nack", "full", "wrong", "twice", "noid")}
    oracle.expect(*ids.values())
    database.wait_result(ids["nack"], fail=a.dead_text, result_class="FAIL")
    database.wait_result(ids["full"], fail=a.dead_text, result_class="OK", try_no=2)
    database.wait_result(ids["twice"], fail=a.dead_text, result_class="OK")
    wait_until(lambda: held(a) == {ids["wrong"]}, 10, "the one without an answer to be held", fail=a.dead_text)
    # Taken, and no receipt can be known as its own.
    wait_until(lambda: database.count("send", "msg_id = %d AND status = 2" % ids["noid"]) == 1, 10, "the one without an id",
               fail=a.dead_text)
    clean(sim)
    a.stop()
    assert oracle.violations(all_done=False) == []


# ---- a hostile peer -----------------------------------------------------------------------------------------------


def bind_resp(version=b"\x02\x10\x00\x01\x34"):
    return pdu(0x80000009, 0, 1, b"evil\0" + version)


def pdu(command, status, sequence, body=b""):
    return b"".join(n.to_bytes(4, "big") for n in (16 + len(body), command, status, sequence)) + body


def flood(sock, chunk, seconds):
    end = time.monotonic() + seconds
    sock.settimeout(0.2)
    while time.monotonic() < end:
        try:
            sock.send(chunk)
        except socket.timeout:
            pass


def sm(sequence, text=b"flood", esm=0, tlvs=b""):
    return pdu(5, 0, sequence, b"\0\1\1821012345678\0\0\1\x315880000\0" + bytes((esm, 0, 0, 0, 0, 0, 0, 0, 0, len(text))) + text + tlvs)


RECEIPT = b"id:%d stat:DELIVRD err:000"
TRICKS = {
    "zeros": lambda s: flood(s, bytes(65536), 1.5),
    "huge length": lambda s: flood(s, b"\x7f\xff\xff\xff" * 4096, 1.5),
    "just too long": lambda s: flood(s, (70000).to_bytes(4, "big") + bytes(69996), 1.5),
    "never whole": lambda s: flood(s, b"\0", 1.5),
    "answers before the bind": lambda s: flood(s, pdu(0x80000004, 0, 1, b"x\0") * 500, 1.5),
    "deliver before the bind": lambda s: flood(s, sm(1) * 500, 1.5),
    "bound, answers to nothing": lambda s: (s.sendall(bind_resp()), flood(s, pdu(0x80000004, 0, 99, b"x\0") * 500, 1.5)),
    "bound, requests of a client": lambda s: (s.sendall(bind_resp()), flood(s, pdu(4, 0, 7, b"\0" * 30) * 500, 1.5)),
    "bound, unknown commands": lambda s: (s.sendall(bind_resp()), flood(s, pdu(0x777, 0, 7) * 500, 1.5)),
    "bound, outbind": lambda s: (s.sendall(bind_resp()), flood(s, pdu(0x0B, 0, 7, b"a\0b\0") * 500, 1.5)),
    "bound, binds again": lambda s: flood(s, bind_resp() * 500, 1.5),
    "bound, questions": lambda s: (s.sendall(bind_resp()), flood(s, pdu(0x15, 0, 7) * 500, 1.5)),
    "bound, receipts for nobody": lambda s: (s.sendall(bind_resp()), [
        s.sendall(b"".join(sm(n, RECEIPT % n, 4) for n in range(k, k + 100))) for k in range(0, 2000, 100)]),
    "bound, broken receipts": lambda s: (s.sendall(bind_resp()), flood(s, b"".join(
        sm(n, b"id: stat: err:" * 10, 4, b"\x04\x27\x00\x01\xff\x00\x1e\x00\x02AA") for n in range(100)), 1.5)),
    "bound, huge optional parameters": lambda s: (s.sendall(bind_resp()), flood(s, sm(
        1, b"", 0, b"\x04\x24\xf0\x00" + b"y" * 0xF000), 1.5)),
    "a bind with a long name": lambda s: s.sendall(pdu(0x80000009, 0, 1, b"n" * 60000 + b"\0")),
    "silence": lambda s: time.sleep(1.5),
    "unbinds": lambda s: (s.sendall(bind_resp()), flood(s, pdu(6, 0, 3) * 100, 1.5)),
}


class Hostile:
    """Takes connections and does one trick on each."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.trick = None
        self.done = 0
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        self.listener.settimeout(0.2)
        while not self.stopping:
            try:
                sock, _ = self.listener.accept()
            except socket.timeout:
                continue
            with sock:
                sock.settimeout(2)
                try:
                    sock.recv(16)
                    self.trick(sock)
                except OSError:
                    pass                # it was thrown out, as it should be
                self.done += 1

    def close(self):
        self.stopping = True
        self.thread.join(10)
        self.listener.close()


@pytest.fixture
def hostile():
    one = Hostile()
    yield one
    one.close()


def test_a_hostile_peer_costs_its_own_connection(database, sim, agent, oracle, hostile, folder):
    tricks = list(TRICKS)
    if not proof.long_form():
        rng = random.Random(proof.seed())
        tricks = rng.sample(tricks, 6)
    hostile.trick = TRICKS[tricks[0]]
    evil = dict(sim.smpp_channel("evil"), hosts=["127.0.0.1:%d" % hostile.port] * 8, tls="off", ca_file=None, lms=True, window=10)
    # What a sanitizer keeps of freed memory is no growth.
    env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
    a = agent(channels=[evil, sim.smpp_channel()], env=env, extra={
        "routes": [{"type": ["SMS"], "channels": ["smsc"], "on_unknown": "hold"}, {"type": ["LMS"], "channels": ["evil"],
                                                                                 "on_unknown": "hold"}]})
    wait_until(lambda: sim.stats()["smpp_bound"] == 1, 10, "a session of the good one", fail=a.dead_text)
    base = a.rss_kib()
    slowest = 0.0
    for name in tricks:
        hostile.trick = TRICKS[name]
        before, lines = hostile.done, a.log().count("\n")
        cpu, began = a.proc.cpu_s(), time.monotonic()
        ids = [database.insert("010-2000-%04d" % n, name) for n in range(10)]
        oracle.expect(*ids)
        for m in ids:
            database.wait_result(m, 20, fail=a.dead_text, result_class="OK")
        flowed = time.monotonic() - began
        slowest = max(slowest, flowed)
        wait_until(lambda: hostile.done > before + 1, 30, "%s to be over" % name, fail=a.dead_text)
        used, span = a.proc.cpu_s() - cpu, time.monotonic() - began
        grown = a.rss_kib() - base
        written = a.log().count("\n") - lines
        print("%-32s 10 messages in %5.2f s, %5.2f s CPU of %5.2f s, %6d KiB more, %4d lines"
              % (name, flowed, used, span, grown, written))
        assert grown < 64 * 1024, "%s: memory grew by %d KiB" % (name, grown)
        # Debug lines of kept receipts aside (one each), it does not write a line for each PDU.
        assert written < 2500, "%s: %d lines" % (name, written)
    a.stop()
    clean(sim)
    oracle.check()
    proof.record("smpp hostile", database.kind, 0, tricks=len(tricks), slowest_s=slowest)


# ---- kills --------------------------------------------------------------------------------------------------------


def test_killed_with_everything_under_way(database, sim, agent, oracle):
    seed = proof.seed()
    rng = random.Random(seed)
    kills = proof.size(3, 50)
    sim.config(answer_delay_ms=60, report_delay_ms=100, magic=False)
    sim.rule(on="submit", match={"probability": 0.2, "seed": seed}, before_answer=True)
    a = agent(channels=[sim.smpp_channel(sessions=2, window=20, rate=150, answer_timeout="2s", split="udh")],
              extra=dict(ROUTES, times={"agent_lease": "2s", "row_lease": "8s", "write_deadline": "2s"}))
    rows = set()
    at_work = 0
    for n in range(kills):
        for _ in range(60):
            rows.add(database.insert("010-2000-%04d" % rng.randrange(10000), "kill " + "long " * rng.choice([1, 50])))
        wait_until(lambda: database.count("send", "status = 1") > 0, 10, "something under way", fail=a.dead_text)
        time.sleep(rng.uniform(0, 0.3))         # the moment is what is random, nothing is waited for
        at_work += database.count("send", "status = 1") > 0
        a.kill9()
        a.start()
    oracle.expect(*rows)
    mine = decided(database, a, rows, DEADLINE)
    truth = sim.truth()
    clean(sim)
    print("%d kills (%d with rows under way), %d messages, %d held" % (kills, at_work, len(rows), len(mine)))
    proof.record("smpp kills", database.kind, seed, kills=kills, at_work=at_work, messages=len(rows), held=len(mine))
    assert all(t.phone <= 1 for t in truth.values())
    assert mine == held(a)
    assert at_work >= kills / 5, "most kills hit an agent with empty hands"
    # An answer that had left and was not read yet died with the agent: more may be held than had no answer, never less.
    assert mine >= {m for m in rows if m not in told(oracle, truth)} - {
        oracle.id_of(t.id) for t in truth.values() if t.parts and t.phone}
    assert rows - mine <= {oracle.id_of(t.id) for t in truth.values() if t.phone}
    a.stop()
    assert oracle.violations(all_done=False) == []
