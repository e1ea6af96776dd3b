"""A TCP proxy that does harm where it is told to: between the agent and its database, or its provider.

  with Proxy(port, speaks="mysql") as p:            # speaks: None (bytes), "mysql", "postgresql", "tls"
      block = database.agent_config(port=p.port)    # p.database_config(database) does this for both databases
      p.fault("rst", commit=3)                      # the answer to the third COMMIT never arrives: connection reset

fault(do, ...) adds one fault and returns it; fault.fired counts. It strikes at one place:
  byte=N            when N bytes of this way have passed on a connection (always counted for each by itself)
  packet=N          at the N-th packet. A packet is one of the protocol's, a TLS record, or what one recv() gave
  commit=N          way "down" (the answer of the database) or "up" (the COMMIT itself does not reach it)
  connect=N         when the N-th connection is made
  N counts from 1 over all connections since the start or p.reset(), 0 is every one; per_link=True: on each connection. byte=0 is
  before the first byte.
way     "down" (to the client, the default), "up" (to the server), "both" (packets in the order in which they were seen)
do      "rst", "fin"      both connections are ended
        "half"            nothing more goes this way and its receiver is told so; the other way lives
        "stall"           both connections stay open, and nothing passes any more
        "delay"           seconds=S: this and all behind it waits so long
        "trickle"         from here on this way byte by byte, seconds=S between them
        "pass"            nothing; for call=
keep    how many bytes of the packet that was hit still pass before "rst", "fin", "half", "stall" (default 0, None: all)
link    only on the connection of that number (from 1); times: how often (default 1, None: always); call: function of
        the Link, called in the proxy's thread before anything is done (the connection waits for it)

p.listen(False) refuses connections, p.listen(True) takes them again on the same port. p.cut("rst") ends all that are open.
p.packets, p.commits, p.links: what has been seen since the start or p.reset(). A Commit has .no, .link, .asked_ms, .answered_ms (None
when its answer was not passed on) and .words: the matches of words= (a bytes pattern) in what passed in that transaction.
Loopback only. TLS passes as bytes: nothing is decrypted. One thread does all of it, so that the order is one order.
"""

import collections
import errno
import heapq
import re
import selectors
import socket
import struct
import threading
import time

CHUNK = 65536
FULL = 1 << 20


def now_ms():
    return time.time() * 1000.0


# ---- how bytes become packets: each takes a buffer and says how long the first packet is, 0 for not yet complete -----


def raw_size(way, buf, link):
    return len(buf)


def tls_size(way, buf, link):
    if len(buf) < 5:
        return 0
    n = 5 + (buf[3] << 8 | buf[4])
    return n if len(buf) >= n else 0


def mysql_size(way, buf, link):
    if len(buf) < 4:
        return 0
    n = 4 + (buf[0] | buf[1] << 8 | buf[2] << 16)
    return n if len(buf) >= n else 0


def postgresql_size(way, buf, link):
    if link.is_tls:
        return len(buf)
    if way == "up" and not link.greeted:
        if len(buf) < 8:
            return 0
        n, code = struct.unpack_from(">II", buf)
        if len(buf) < n:
            return 0
        if code in (80877103, 80877104):        # asks for TLS or GSS: one byte is the answer
            link.byte_answer = True
        else:
            link.greeted = True
        return n
    if way == "down" and link.byte_answer:
        link.byte_answer = False
        link.is_tls = buf[0:1] == b"S"
        return 1
    if len(buf) < 5:
        return 0
    n = 1 + struct.unpack_from(">I", buf, 1)[0]
    return n if len(buf) >= n else 0


SIZES = {None: raw_size, "tls": tls_size, "mysql": mysql_size, "postgresql": postgresql_size}


def plain(text):
    return bytes(text).strip(b" \t\r\n;\0").upper()


def mysql_asks(link, packet):
    """What the client's packet begins or ends: "begin", "commit", "rollback" or None."""
    if len(packet) > 4 and packet[3] == 0 and packet[4] == 3:
        return VERBS.get(plain(packet[5:]))
    return None


def postgresql_asks(link, packet):
    kind = packet[0:1]
    if not link.greeted or link.is_tls:
        return None
    if kind == b"Q":
        return VERBS.get(plain(packet[5:]))
    if kind == b"P":                            # Parse: name, text
        name, _, rest = bytes(packet[5:]).partition(b"\0")
        link.statements[name] = VERBS.get(plain(rest.partition(b"\0")[0]))
    elif kind == b"B":                          # Bind: portal, statement
        portal, _, rest = bytes(packet[5:]).partition(b"\0")
        link.portals[portal] = link.statements.get(rest.partition(b"\0")[0])
    elif kind == b"E":
        return link.portals.get(bytes(packet[5:]).partition(b"\0")[0])
    return None


VERBS = {b"COMMIT": "commit", b"END": "commit", b"BEGIN": "begin", b"START TRANSACTION": "begin", b"ROLLBACK": "rollback"}
ASKS = {"mysql": mysql_asks, "postgresql": postgresql_asks}


def mysql_answers(packet):
    """Does the server's packet say that the COMMIT was done (True), was not (False), or neither (None)?"""
    return packet[4] == 0 if len(packet) > 4 else None


def postgresql_answers(packet):
    if packet[0:1] == b"C":
        return plain(packet[5:]) == b"COMMIT"
    return False if packet[0:1] in (b"E", b"Z") else None


ANSWERS = {"mysql": mysql_answers, "postgresql": postgresql_answers}


class Commit:
    def __init__(self, no, link, words):
        self.no = no
        self.link = link
        self.asked_ms = now_ms()
        self.answered_ms = None
        self.words = words

    def __repr__(self):
        return "<commit %d on %d, %s, %d words>" % (
            self.no, self.link, "answered" if self.answered_ms else "no answer", len(self.words))


class Fault:
    def __init__(self, do, way="down", byte=None, packet=None, commit=None, connect=None, per_link=False, keep=0, link=None,
                 times=1, seconds=0.0, call=None):
        assert do in ("rst", "fin", "half", "stall", "delay", "trickle", "pass"), do
        assert way in ("up", "down", "both"), way
        assert sum(x is not None for x in (byte, packet, commit, connect)) == 1, "one place, please"
        self.do, self.way, self.byte, self.packet, self.commit, self.connect = do, way, byte, packet, commit, connect
        self.per_link, self.keep, self.link, self.times, self.seconds, self.call = per_link, keep, link, times, seconds, call
        self.fired = 0

    def wants(self, link, way=None):
        return ((self.times is None or self.fired < self.times) and self.link in (None, link.no)
                and (way is None or self.way in (way, "both")))


class Way:
    """One direction of a connection."""

    def __init__(self, name, source, sink):
        self.name, self.source, self.sink = name, source, sink
        self.inp = bytearray()                  # not yet a whole packet
        self.out = bytearray()                  # not yet sent
        self.passed = 0
        self.packets = 0
        self.ended = False                      # the source said that it has no more
        self.dead = False                       # what comes is thrown away
        self.not_before = 0.0
        self.pause = 0.0                        # between single bytes


class Link:
    """One connection, both sides of it."""

    def __init__(self, no, client, server):
        self.no = no
        self.up = Way("up", client, server)
        self.down = Way("down", server, client)
        self.greeted = self.byte_answer = self.is_tls = self.closed = False
        self.statements, self.portals = {}, {}
        self.words = set()
        self.asked = None                       # a Commit whose answer has not come
        self.commits = 0


class Proxy:
    def __init__(self, target, speaks=None, port=0, words=None):
        """target: a port of the loopback address."""
        self.target = ("127.0.0.1", int(target))
        self.speaks = speaks
        self.pattern = re.compile(words) if words else None
        self.sel = selectors.DefaultSelector()
        self.faults = []
        self.timers = []
        self.calls = collections.deque()
        self.open = set()
        self.lock = threading.Lock()
        self.ticket = 0
        self.failure = None
        self.reset()
        self.listener = None
        self.port = port
        self.wake_r, self.wake_w = socket.socketpair()
        self.wake_r.setblocking(False)
        self.sel.register(self.wake_r, selectors.EVENT_READ, self._woken)
        self._listen(True)
        self.stopping = False
        self.thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self.thread.start()

    # ---- for the tests ----

    def fault(self, do, **kw):
        one = Fault(do, **kw)
        self._do(lambda: self.faults.append(one))
        return one

    def clear(self):
        """No more faults; connections that stalled stay so."""
        self._do(self.faults.clear)

    def reset(self):
        """Counts from 0 again."""
        self.packets = {"up": 0, "down": 0, "both": 0}
        self.commits = []
        self.links = 0

    def listen(self, on=True):
        self._do(lambda: self._listen(on))

    def cut(self, how="rst"):
        """Ends every connection that is open; returns how many."""
        return self._do(lambda: sum(self._end(link, how) for link in list(self.open)))

    def opened(self):
        return len(self.open)

    def acked(self):
        """word -> when the answer to the first COMMIT with it was passed on to the client."""
        out = {}
        for c in list(self.commits):
            for w in c.words if c.answered_ms else ():
                out[w] = min(out.get(w, c.answered_ms), c.answered_ms)
        return out

    def database_config(self, database, **extra):
        """The agent's database block, through this proxy."""
        block = database.agent_config(**extra)
        if "connection" in block:
            block["connection"] = re.sub(r"(?i)\bPort=\d+", "Port=%d" % self.port, block["connection"])
            if database.dialect == "postgresql" and "SSLmode" not in block["connection"]:
                block["connection"] += "SSLmode=disable;"
        else:
            block["port"] = self.port
        return block

    def close(self):
        if self.thread.is_alive():
            self.stopping = True
            self._wake()
            self.thread.join(10)
        assert self.failure is None, "the proxy failed: %r" % (self.failure,)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self.stopping = True
            self._wake()

    # ---- the loop ----

    def _wake(self):
        try:
            self.wake_w.send(b"x")
        except OSError:
            pass

    def _woken(self, mask):
        try:
            self.wake_r.recv(4096)
        except BlockingIOError:
            pass

    def _do(self, what):
        """Runs in the proxy's thread; from there (call=) at once."""
        if threading.current_thread() is self.thread:
            return what()
        done, box = threading.Event(), []

        def job():
            box.append(what())
            done.set()
        self.calls.append(job)
        self._wake()
        while not done.wait(0.2):
            assert self.thread.is_alive(), "the proxy has ended: %r" % (self.failure,)
        return box[0]

    def _run(self):
        try:
            while not self.stopping:
                wait = max(0.0, self.timers[0][0] - time.monotonic()) if self.timers else None
                for key, mask in self.sel.select(wait):
                    key.data(mask)
                while self.calls:
                    self.calls.popleft()()
                while self.timers and self.timers[0][0] <= time.monotonic():
                    heapq.heappop(self.timers)[2]()
        except Exception as e:                  # noqa: BLE001 - close() tells
            self.failure = e
            raise
        finally:
            for link in list(self.open):
                self._end(link, "fin")
            self._listen(False)
            self.sel.close()
            self.wake_r.close()

    def _listen(self, on):
        if on and self.listener is None:
            self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
            self.port = self.listener.getsockname()[1]
            self.listener.setblocking(False)
            self.sel.register(self.listener, selectors.EVENT_READ, self._accept)
        elif not on and self.listener is not None:
            self.sel.unregister(self.listener)
            self.listener.close()
            self.listener = None

    def _accept(self, mask):
        try:
            client = self.listener.accept()[0]
        except OSError:
            return
        try:
            server = socket.create_connection(self.target, 5)
        except OSError:
            reset(client)
            return
        self.links += 1
        link = Link(self.links, client, server)
        for s in (client, server):
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open.add(link)
        self._watch(link)
        for f in self.faults:
            if f.connect is not None and f.connect in (0, link.no) and f.wants(link):
                self._strike(f, link, link.down)
                break

    def _watch(self, link):
        """Tells the selector what each socket waits for."""
        if link.closed:
            return
        for sock, incoming, outgoing in ((link.up.source, link.up, link.down), (link.down.source, link.down, link.up)):
            mask = 0
            if not incoming.ended and (incoming.dead or len(incoming.out) < FULL):
                mask |= selectors.EVENT_READ
            if outgoing.out and outgoing.not_before <= time.monotonic():
                mask |= selectors.EVENT_WRITE
            known = self.sel.get_map().get(sock.fileno())
            if mask == 0:
                if known:
                    self.sel.unregister(sock)
            elif known is None:
                self.sel.register(sock, mask, lambda m, i=incoming, o=outgoing: self._ready(link, i, o, m))
            elif known.events != mask:
                self.sel.modify(sock, mask, known.data)

    def _ready(self, link, incoming, outgoing, mask):
        if not link.closed and mask & selectors.EVENT_WRITE:
            self._flush(link, outgoing)
        if not link.closed and mask & selectors.EVENT_READ:
            try:
                data = incoming.source.recv(CHUNK)
            except BlockingIOError:
                return
            except OSError:
                self._end(link, "rst")
                return
            if data:
                self._take(link, incoming, data)
            else:
                incoming.ended = True
                if incoming.dead:
                    self._end(link, "fin")
                else:
                    self._flush(link, incoming)
        self._watch(link)

    # ---- one packet ----

    def _take(self, link, way, data):
        if way.dead:
            return
        way.inp += data
        while way.inp and not (link.closed or way.dead):
            n = SIZES[self.speaks](way.name, way.inp, link)
            if n == 0:
                break
            packet = bytes(way.inp[:n])
            del way.inp[:n]
            self._packet(link, way, packet)
        if not link.closed:
            self._flush(link, way)

    def _packet(self, link, way, packet):
        way.packets += 1
        self.packets[way.name] += 1
        self.packets["both"] += 1
        commit = self._commit_up(link, packet) if way.name == "up" else self._commit_down(link, packet)
        both = link.up.packets + link.down.packets
        for f in list(self.faults):
            if not f.wants(link, way.name):
                continue
            if f.packet is not None:
                n = (both if f.way == "both" else way.packets) if f.per_link else self.packets[f.way]
                hit = f.packet in (0, n)
            elif f.commit is not None:
                hit = commit is not None and f.commit in (0, link.commits if f.per_link else commit.no)
            else:
                hit = False
            if hit:
                if f.do in ("rst", "fin", "half", "stall"):
                    self._pass(link, way, packet if f.keep is None else packet[:f.keep])
                    if not (link.closed or way.dead):
                        self._strike(f, link, way)
                    return
                self._strike(f, link, way)
        if commit is not None and way.name == "down":
            commit.answered_ms = now_ms()
        self._pass(link, way, packet)

    def _commit_up(self, link, packet):
        if self.speaks not in ASKS:
            return None
        verb = ASKS[self.speaks](link, packet)
        if verb in ("begin", "rollback"):
            link.words = set()
        if self.pattern is not None:
            link.words.update(self.pattern.findall(packet))
        if verb != "commit":
            return None
        link.commits += 1
        link.asked = Commit(len(self.commits) + 1, link.no, link.words)
        link.words = set()
        self.commits.append(link.asked)
        return link.asked

    def _commit_down(self, link, packet):
        if self.pattern is not None:
            link.words.update(self.pattern.findall(packet))
        if link.asked is None:
            return None
        done = ANSWERS[self.speaks](packet)
        if done is None:
            return None
        commit, link.asked = link.asked, None
        return commit if done else None

    def _pass(self, link, way, data):
        """Forwards, unless a fault at a byte lies in it."""
        for f in self.faults:
            if f.byte is None or not f.wants(link, way.name):
                continue
            if not way.passed < f.byte <= way.passed + len(data) and not (f.byte == way.passed == 0):
                continue
            first = f.byte - way.passed
            way.out += data[:first]
            way.passed = f.byte
            data = data[first:]
            self._flush(link, way)
            self._strike(f, link, way)
            if link.closed or way.dead:
                return
        way.out += data
        way.passed += len(data)

    def _strike(self, f, link, way):
        f.fired += 1
        if f.call is not None:
            f.call(link)
        if f.do == "delay":
            way.not_before = time.monotonic() + f.seconds
            self._later(link, way)
        elif f.do == "trickle":
            way.pause = f.seconds
        elif f.do == "stall":
            link.up.dead = link.down.dead = True
            self._flush(link, way)
        elif f.do == "half":
            way.dead = way.ended = True
            self._flush(link, way)
        elif f.do in ("rst", "fin"):
            self._flush(link, way, last=True)
            self._end(link, f.do)

    def _later(self, link, way):
        self.ticket += 1
        heapq.heappush(self.timers, (way.not_before, self.ticket, lambda: self._flush_watch(link, way)))

    def _flush_watch(self, link, way):
        if not link.closed:
            self._flush(link, way)
            self._watch(link)

    def _flush(self, link, way, last=False):
        try:
            while way.out and (last or way.not_before <= time.monotonic()):
                n = way.sink.send(way.out[:1] if way.pause > 0 else way.out)
                del way.out[:n]
                if way.pause > 0 and not last:
                    way.not_before = time.monotonic() + way.pause
                    self._later(link, way)
        except BlockingIOError:
            return
        except OSError:
            self._end(link, "rst")
            return
        if way.ended and not way.out and not (link.up.dead and link.down.dead):
            try:
                way.sink.shutdown(socket.SHUT_WR)
            except OSError as e:
                if e.errno != errno.ENOTCONN:
                    raise
            if link.up.ended and link.down.ended and not link.up.out and not link.down.out:
                self._end(link, "fin")

    def _end(self, link, how):
        if link.closed:
            return 0
        link.closed = True
        self.open.discard(link)
        for s in (link.up.source, link.down.source):
            if self.sel.get_map().get(s.fileno()):
                self.sel.unregister(s)
            if how == "rst":
                reset(s)
            else:
                s.close()
        return 1


def reset(sock):
    """Closes with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
