"""Centres that behave as no simulator of ours does: byte-exact cuts, answers that never come, hosts of which one refuses, binds
that do not last, floods.  The centre is a thread for each connection and does what its test's function says."""

import collections
import os
import signal
import socket
import struct
import threading
import time

import pytest

from lib import proof
from lib.wait import wait_until
from mtsim import smpp_pdu as wire

pytestmark = pytest.mark.db("sqlite")

KEY_TAG = 0x1401
RETRY, THROTTLED, BIND_FAILED = 0x08, 0x58, 0x0D


class Submit:
    """A submit_sm as the centre has read it."""

    def __init__(self, data, sequence):
        sm = wire.read_sm(data)
        self.sequence, self.to = sequence, sm.dest
        key = sm.tlvs.get(KEY_TAG)
        self.key = key.decode().partition(".")[0] if key else None
        self.part, self.parts = 1, 1
        if sm.esm & 0x40:
            (_, self.parts, self.part), _ = wire.header_of(sm.octets)


class Link:
    """One connection; the centre's function answers its PDUs by send()."""

    def __init__(self, centre, sock, number):
        self.centre, self.sock, self.number = centre, sock, number
        self.sequence = 0
        self.left = {"up": None, "down": None}      # bytes that may still pass; None: all
        self.passed = {"up": 0, "down": 0}
        self.lock = threading.Lock()

    def send(self, command, status, sequence, body=b""):
        self.raw(wire.pdu(command, status, sequence, body))

    def raw(self, data):
        with self.lock:
            left = self.left["down"]
            try:
                self.sock.sendall(data[:left])
            except OSError:
                pass
            self.passed["down"] += len(data[:left])
        if left is not None:
            self.left["down"] -= len(data[:left])
            if self.left["down"] == 0:
                self.cut(rst=self.centre.made % 2 == 0)

    def cut(self, rst=False):
        try:
            if rst:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def answer(self, submit, status=0):
        number = self.centre.number(submit) if not status else ""
        self.send(wire.SUBMIT_RESP, status, submit.sequence, number.encode() + b"\0" if not status else b"")

    def receipt(self, submit):
        self.sequence += 1
        self.raw(receipt(self.sequence, self.centre.number(submit), submit.to))

    def read(self, n):
        data = b""
        while len(data) < n:
            left = self.left["up"]
            more = self.sock.recv(n - len(data) if left is None else min(left, n - len(data))) if left != 0 else b""
            if not more:
                raise ConnectionError
            data += more
            self.passed["up"] += len(more)
            if left is not None:
                self.left["up"] -= len(more)
        return data

    def serve(self):
        centre = self.centre
        if hasattr(centre.does, "begin"):
            centre.does.begin(self)
        if self.left["down"] == 0:
            self.cut()
        try:
            while True:
                head = self.read(16)
                length, command, status, sequence = wire.HEADER.unpack(head)
                data = head + self.read(length - 16)
                with centre.guard:
                    centre.pdus[command] += 1
                    if command == wire.SUBMIT:
                        centre.submits.append((self.number, Submit(data, sequence)))
                if not centre.does(self, command, status, sequence, data):
                    self.usual(command, sequence)
        except (OSError, ConnectionError, ValueError):
            pass
        finally:
            centre.links.discard(self)
            self.cut()

    def usual(self, command, sequence, version=0x34):
        if command in (wire.BIND_TRX, wire.BIND_TX, wire.BIND_RX):
                self.send(wire.RESP | command, 0, sequence, b"hard\0" + wire.tlv(wire.SC_VERSION, bytes((version,))))
        elif command == wire.SUBMIT:
            self.answer(self.centre.submits[-1][1])
        elif not command & wire.RESP:
            self.send(wire.RESP | command, 0, sequence)


def receipt(sequence, number, to):
    text = b"id:%s sub:001 dlvrd:001 stat:DELIVRD err:000 text:" % number.encode()
    return wire.write_sm(wire.DELIVER, sequence, to, "15880000", text, esm=4,
                         tlvs=wire.tlv(wire.RECEIPTED_ID, number.encode() + b"\0") + wire.tlv(wire.MESSAGE_STATE, b"\2"))


class Centre:
    """does(link, command, status, sequence, data) says True when it has dealt with the PDU."""

    def __init__(self, does=None, port=0):
        self.does = does or (lambda *_: False)
        self.submits = []
        self.pdus = collections.Counter()
        self.guard = threading.Lock()
        self.links = set()
        self.made = 0
        self.port = port
        self.open()

    def open(self):
        self.sock = socket.create_server(("127.0.0.1", self.port))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.sock,), daemon=True).start()

    def accept(self, sock):
        while True:
            try:
                link = Link(self, sock.accept()[0], self.made)
            except OSError:
                return
            self.made += 1
            self.links.add(link)
            threading.Thread(target=link.serve, daemon=True).start()

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def number(self, submit):
        return "%s-%d" % (submit.to, submit.part)

    def channel(self, name="smsc", hosts=None, **options):
        return dict({"name": name, "driver": "smpp", "hosts": hosts or ["127.0.0.1:%d" % self.port], "tls": "off",
                     "system_id": "shop", "key_tag": KEY_TAG, "receipts": False}, **options)

    def taken(self, to):
        return sum(s.to == to for _, s in self.submits)


@pytest.fixture
def centre():
    made = []

    def make(does=None, **kw):
        made.append(Centre(does, **kw))
        return made[-1]

    yield make
    for one in made:
        try:
            one.close()
        except OSError:
            pass
        for link in list(one.links):
            link.cut()


@pytest.fixture
def start(agent):
    def make(block, extra=None, **kw):
        return agent(sim=None, channels=[block], extra=dict({"routes": [
            {"type": ["SMS"], "channels": [block["name"]], "on_unknown": "hold"}]}, **(extra or {})), **kw)
    return make


def number(n):
    return "010-2000-%04d" % n


def wire_number(n):
    return "821020%06d" % n


def held(a):
    return {r["msg_id"] for r in a.ctl_json("unknown", "list", "--limit", 100000, check=False)["rows"]}


# ---- answers that do not come -------------------------------------------------------------------------------------


def test_one_answer_that_is_lost_costs_one_message(database, centre, start):
    """Neither the session, with all that is in its window, nor the speed of the others."""
    lost = number(7).replace("-", "")

    def does(link, command, status, sequence, data):
        return command == wire.SUBMIT and c.submits[-1][1].to.endswith(lost[1:])
    c = centre(does)
    a = start(c.channel(window=4, answer_timeout="1s"))
    for n in range(300):
        database.insert(number(n), "x")
    wait_until(lambda: database.count("result") == 299, 60, "all others", fail=a.dead_text)
    wait_until(lambda: len(held(a)) == 1, 10, "the lost one to be held", fail=a.dead_text)
    assert c.made == 1, "the session was given up"
    assert len(c.submits) == 300
    a.stop()


def test_a_lost_answer_does_not_stop_the_window(database, centre, start):
    c = centre(lambda link, command, *_: command == wire.SUBMIT and len(c.submits) == 1)
    a = start(c.channel(window=2, answer_timeout="8s"))
    for n in range(300):
        database.insert(number(n), "x")
    wait_until(lambda: database.count("result") == 299, 6, "all others before the lost one is given up", fail=a.dead_text)
    a.kill9()


def test_a_centre_that_answers_no_enquire_link_but_messages(database, centre, start):
    """It is heard: that is what the question is for."""
    def does(link, command, status, sequence, data):
        if command == wire.SUBMIT:
            submit = c.submits[-1][1]
            threading.Timer(0.15, link.answer, (submit,)).start()
            return True
        return command == wire.ENQUIRE
    c = centre(does)
    a = start(c.channel(enquire_link="100ms", window=1, answer_timeout="1s"))
    for n in range(12):
        database.insert(number(n), "x")
    wait_until(lambda: database.count("result") == 12, 15, "all of them", fail=a.dead_text)
    assert c.made == 1 and c.pdus[wire.ENQUIRE] > 2
    # Silent in all things it is given up.
    wait_until(lambda: c.made > 1, 10, "another connection", fail=a.dead_text)
    a.stop()


def test_a_generic_nack_to_enquire_link_is_an_answer(database, centre, start):
    def does(link, command, status, sequence, data):
        if command == wire.ENQUIRE:
            link.send(wire.NACK, 0x03, sequence)
        return command == wire.ENQUIRE
    c = centre(does)
    a = start(c.channel(enquire_link="100ms"))
    wait_until(lambda: c.pdus[wire.ENQUIRE] >= 5, 10, "five questions", fail=a.dead_text)
    assert c.made == 1
    a.stop()


def test_answers_that_came_while_the_agent_stood_still(database, centre, start):
    """The agent was slow, not the centre: what lies in the socket is read before anything is given up."""
    def does(link, command, status, sequence, data):
        if command == wire.SUBMIT and len(c.submits) == 20:
            os.kill(a.pid, signal.SIGSTOP)
            for _, s in list(c.submits):
                link.answer(s)
        return command == wire.SUBMIT and len(c.submits) <= 20
    c = centre(does)
    a = start(c.channel(window=20, answer_timeout="1s", enquire_link="300ms"), start=False)
    database.insert_many(30, recipient=number)
    a.start()
    wait_until(lambda: len(c.submits) >= 20, 10, "a full window", fail=a.dead_text)
    time.sleep(4)
    os.kill(a.pid, signal.SIGCONT)
    wait_until(lambda: database.count("result") == 30, 10, "all of them", fail=a.dead_text)
    assert c.made == 1 and len(c.submits) == 30
    a.stop()


# ---- hosts and binds ----------------------------------------------------------------------------------------------


def test_a_host_that_refuses_does_not_hide_the_other(database, centre, start):
    def does(link, command, status, sequence, data):
        if command == wire.BIND_TRX:
            link.send(wire.RESP | command, BIND_FAILED, sequence)
            return True
        return False
    bad, good = centre(does), centre()
    a = start(good.channel(hosts=["127.0.0.1:%d" % c.port for c in (bad, good)]))
    msg = database.insert(number(1), "x")
    database.wait_result(msg, 8, fail=a.dead_text, result_class="OK")
    a.stop()


def test_hosts_that_all_refuse_are_asked_slowly(database, centre, start):
    def does(link, command, status, sequence, data):
        link.send(wire.RESP | command, BIND_FAILED, sequence)
        return True
    c = centre(does)
    a = start(c.channel(hosts=["127.0.0.1:%d" % c.port, "127.0.0.1:%d" % c.port]))
    a.wait_log(r"channel\.state .*state=REFUSED")
    time.sleep(3)
    assert c.pdus[wire.BIND_TRX] <= 2, "an account is locked by less"
    a.stop()


def test_an_end_instead_of_tls_is_no_refusal(database, centre, start):
    """As a balancer without a centre behind it does; "refused" would ask for an operator and be tried again in minutes."""
    class Ends:
        def begin(self, link):
            link.sock.shutdown(socket.SHUT_WR)
    c = centre(Ends())
    a = start(c.channel(tls="on"))
    a.wait_log(r"channel\.state .*state=DOWN .*no TLS")
    wait_until(lambda: c.made >= 3, 8, "other tries soon", fail=a.dead_text)
    assert not a.log_has("REFUSED")
    a.stop()


def test_binds_that_do_not_last_are_not_repeated_at_once(database, centre, start):
    def does(link, command, status, sequence, data):
        if command == wire.BIND_TRX:
            link.usual(command, sequence)
            link.cut()
        return True
    c = centre(does)
    a = start(c.channel(hosts=["127.0.0.1:%d" % c.port, "127.0.0.1:%d" % c.port]))
    wait_until(lambda: c.made >= 2, 10, "both hosts", fail=a.dead_text)
    time.sleep(4)
    assert c.made <= 8, "%d connections in four seconds" % c.made
    a.stop()


# ---- parts --------------------------------------------------------------------------------------------------------

THREE = "three parts " * 35


def test_more_parts_than_the_window_takes_is_refused_and_stops_nothing(database, centre, start):
    """The centre knows no message_payload, so that the text must be divided."""
    def does(link, command, status, sequence, data):
        if command == wire.BIND_TRX:
            link.usual(command, sequence, version=0x33)
            return True
        return False
    c = centre(does)
    a = start(c.channel(window=2, key_tag=0))
    long = database.insert(number(1), THREE, msg_type="SMS")
    database.wait_result(long, 8, fail=a.dead_text, result_class="FAIL", result_code="2004")
    database.wait_result(database.insert(number(2), "x"), 8, fail=a.dead_text, result_class="OK")
    a.stop()


def test_parts_that_wait_are_not_overtaken_for_ever(database, centre, start):
    """A part is put off; messages of one part keep the window full."""
    def work():
        while True:
            time.sleep(0.002)
            if not todo:
                continue
            link, s = todo.popleft()
            is_late = s.parts == 3 and s.part == 2 and not put_off
            if is_late:
                put_off.append(1)
            link.answer(s, RETRY if is_late else 0)

    def does(link, command, status, sequence, data):
        if command == wire.SUBMIT:
            todo.append((link, c.submits[-1][1]))
        return command == wire.SUBMIT
    todo, put_off = collections.deque(), []
    threading.Thread(target=work, daemon=True).start()
    c = centre(does)
    a = start(c.channel(window=3, split="udh", parts_max=3), start=False)
    database.insert_many(1500, recipient=lambda n: number(n))
    a.start()
    wait_until(lambda: c.submits, 10, "traffic", fail=a.dead_text)
    msg = database.insert(number(5000), THREE, msg_type="SMS", priority=0)
    database.wait_result(msg, 6, fail=a.dead_text, result_class="OK", parts=3)
    assert [s.part for _, s in c.submits if s.parts == 3] == [1, 2, 3, 2]
    assert database.count("send") > 0, "there was traffic all the time"
    a.kill9()


def test_a_part_that_is_put_off_again_and_again_is_not_a_storm(database, centre, start):
    def does(link, command, status, sequence, data):
        if command == wire.SUBMIT and c.submits[-1][1].part == 2:
            link.answer(c.submits[-1][1], RETRY)
            return True
        return False
    c = centre(does)
    a = start(c.channel(split="udh"))
    msg = database.insert(number(1), THREE, msg_type="SMS")
    r = database.wait_result(msg, 15, fail=a.dead_text, result_class="FAIL")
    assert r["result_code"] == "7006", dict(r)
    assert 2 <= sum(s.part == 2 for _, s in c.submits) <= 20, len(c.submits)
    assert sum(s.part != 2 for _, s in c.submits) == 2
    a.stop()


def test_a_part_that_waits_for_a_centre_that_is_gone(database, centre, start):
    """Its message ends, and with it the agent can."""
    def does(link, command, status, sequence, data):
        if command == wire.SUBMIT and c.submits[-1][1].parts == 3:
            for s in [s for _, s in c.submits] if len(c.submits) == 3 else ():
                link.answer(s, THROTTLED if s.part == 2 else 0)
            if len(c.submits) == 3:
                c.close()
                time.sleep(0.3)
                link.cut()
            return True
        return False
    c = centre(does)
    a = start(c.channel(split="udh", throttle_pause="10s"))
    msg = database.insert(number(1), THREE, msg_type="SMS")
    database.wait_result(msg, 10, fail=a.dead_text, result_class="FAIL")
    began = time.monotonic()
    a.stop()
    assert time.monotonic() - began < 5
    assert len(c.submits) == 3


# ---- less speed ----------------------------------------------------------------------------------------------------


def test_a_centre_that_is_always_congested_gets_something(database, centre, start):
    """It takes all that it is given: that is not the time for ever longer pauses."""
    def does(link, command, status, sequence, data):
        if command == wire.SUBMIT:
            link.send(wire.SUBMIT_RESP, 0, sequence, b"x\0" + wire.tlv(wire.CONGESTION, b"\x5f"))
        return command == wire.SUBMIT
    c = centre(does)
    a = start(c.channel(throttle_pause="20ms"))
    for n in range(20):
        database.insert(number(n), "x")
    wait_until(lambda: database.count("result") == 20, 8, "all of them", fail=a.dead_text)
    a.stop()


def test_a_message_that_is_put_off_again_and_again_is_not_a_storm(database, centre, start):
    def does(link, command, status, sequence, data):
        if command == wire.SUBMIT and c.submits[-1][1].to == wire_number(0):
            link.answer(c.submits[-1][1], RETRY)
            return True
        return False
    c = centre(does)
    a = start(c.channel())
    database.insert(number(0), "x")
    for n in range(1, 60):
        database.insert(number(n), "x")
        time.sleep(0.05)
    wait_until(lambda: database.count("result") == 59, 10, "all others", fail=a.dead_text)
    assert 2 <= c.taken(wire_number(0)) <= 5
    a.stop()


# ---- quiet, and an end ---------------------------------------------------------------------------------------------


def switches(pid):
    with open("/proc/%d/task/%d/status" % (pid, pid)) as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("voluntary_ctxt"))


def test_a_full_window_and_a_rate_do_not_spin(database, centre, start):
    c = centre(lambda link, command, *_: command == wire.SUBMIT)
    a = start(c.channel(window=2, rate=400, answer_timeout="9s"), extra={"times": {"idle_poll": "1s"}})
    for n in range(10):
        database.insert(number(n), "x")
    wait_until(lambda: len(c.submits) == 2, 10, "a full window", fail=a.dead_text)
    before = switches(a.pid)
    time.sleep(2)
    turns = switches(a.pid) - before
    assert turns < 600, "%d turns of the loop in two seconds" % turns
    a.kill9()


def test_a_flood_of_receipts_does_not_keep_it_from_its_end(database, centre, start):
    over = threading.Event()

    def flood(link):
        n = 0
        while not over.is_set() and link in c.links:
            n += 1
            # There is always another one; the answers are read.
            wait_until(lambda: n * 50 - c.pdus[wire.DELIVER_RESP] < 1000 or link not in c.links, 30, "answers", pause_s=0.001)
            link.raw(b"".join(receipt(n * 50 + i, "x%d" % (n * 50 + i), "821020000001") for i in range(50)))

    def does(link, command, status, sequence, data):
        if command == wire.BIND_TRX:
            link.usual(command, sequence)
            threading.Thread(target=flood, args=(link,), daemon=True).start()
            return True
        return False
    c = centre(does)
    a = start(c.channel(), extra={"times": {"drain": "40s"}})
    try:
        wait_until(lambda: c.pdus[wire.DELIVER_RESP] > 500, 20, "receipts", fail=a.dead_text)
        a.stop(60)
        assert not a.log_has("the time to drain is over")
        over.set()
        wait_until(lambda: c.pdus[wire.UNBIND] == 1, 10, "the unbind to be read")
    finally:
        over.set()


def test_check_of_a_centre_that_resets(database, centre, start):
    """mtrelayctl says what it saw, and does not die of a signal."""
    def does(link, command, status, sequence, data):
        if command == wire.BIND_TRX:
            link.usual(command, sequence)
            link.cut(rst=True)
        return True
    c = centre(does)
    a = start(c.channel(), start=False)
    done = a.ctl("check", check=False)
    assert done.returncode >= 0, done


# ---- every byte ----------------------------------------------------------------------------------------------------


class Cuts:
    """A centre whose armed connection ends behind k bytes of one way; receipts without an answer come again with the next."""

    def __init__(self):
        self.phone = collections.Counter()
        self.open = {}                  # number of a message -> recipient
        self.waiting = {}               # (connection, sequence) -> number of a message
        self.armed = None

    def __call__(self, link, command, status, sequence, data):
        if command == wire.BIND_TRX:
            link.usual(command, sequence)
            for name, to in list(self.open.items()):
                self.deliver(link, name, to)
        elif command == wire.SUBMIT:
            s = link.centre.submits[-1][1]
            self.phone[s.to] += 1
            name = "%s-%d" % (s.to, self.phone[s.to])
            self.open[name] = s.to
            link.send(wire.SUBMIT_RESP, 0, sequence, name.encode() + b"\0")
            self.deliver(link, name, s.to)
        elif command == wire.DELIVER_RESP:
            if status == 0:
                self.open.pop(self.waiting.pop((link.number, sequence)), None)
        else:
            return False
        return True

    def deliver(self, link, name, to):
        link.sequence += 1
        self.waiting[link.number, link.sequence] = name
        link.raw(receipt(link.sequence, name, to))

    def begin(self, link):
        if self.armed:
            way, k = self.armed
            self.armed = None
            link.left[way] = k
        self.link = link


def test_the_connection_is_cut_at_every_byte(database, centre, start):
    """bind, two messages, their receipts, behind each byte of each way: a message has one result, or it is held because nobody
    can know; its phone has it once at most."""
    cuts = Cuts()
    c = centre(cuts)
    a = start(c.channel(receipts=True, hosts=["127.0.0.1:%d" % c.port] * 8))
    msgs = {}

    def insert_two():
        for _ in range(2):
            n = len(msgs)
            msgs[database.insert(number(n), "x")] = wire_number(n)

    insert_two()
    wait_until(lambda: database.count("result") == 2 and not cuts.open, 10, "the first two", fail=a.dead_text)
    length = dict(cuts.link.passed)
    step = proof.size(97, 1)
    places = [(way, k) for way in ("up", "down") for k in range(0, length[way] + 1, step)]
    for way, k in places:
        cuts.armed = way, k
        made = c.made
        cuts.link.cut()
        wait_until(lambda: c.made > made, 15, "another connection", pause_s=0.005, fail=a.dead_text)
        insert_two()
        # The one that is cut, and the next.
        wait_until(lambda: c.made >= made + 2 or k > cuts.link.passed[way], 15, "%d %s" % (k, way), fail=a.dead_text)
        wait_until(lambda: database.count("send", "status <> 4") == 0, 25, "the end of all, cut at %d %s" % (k, way),
                   fail=a.dead_text)
    wait_until(lambda: not cuts.open, 20, "all receipts", fail=a.dead_text)
    unknown = held(a)
    a.stop()
    assert database.count("result") + len(unknown) == len(msgs)
    for msg, to in msgs.items():
        assert cuts.phone[to] <= 1, "message %d reached its phone %d times" % (msg, cuts.phone[to])
        rows = database.rows("result", "msg_id = %d" % msg)
        assert len(rows) + (msg in unknown) == 1
        assert msg in unknown or (rows[0]["result_class"], cuts.phone[to]) == ("OK", 1), dict(rows[0])
    proof.record("smpp cuts", "sqlite", cuts=len(places), messages=len(msgs), held=len(unknown))
    assert len(unknown) < len(msgs) / 2
